package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/rules"
)

type serveCmd struct{}

// Run builds the gateway and serves until SIGTERM or an interrupt; then it drains.
func (c *serveCmd) Run(a *app) error {
	cfg, err := config.Load(a.config)
	if err != nil {
		return err
	}
	log := serverLog(a.stderr, cfg.Log.Level)
	for _, w := range cfg.Warnings() {
		log.Warn(w)
	}
	set, err := loadChecked(cfg)
	if err != nil {
		return err
	}
	for _, w := range unknownSymbols(cfg, set) {
		log.Warn(w)
	}
	g, err := gateway.Build(a.ctx, gateway.Options{
		Config: cfg, Rules: set, Log: log, Now: a.now, ConfigFile: a.config,
		ReadConfig: func() (*config.Config, error) { return config.Load(a.config) },
		ReadRules:  func(c *config.Config) (*rules.Set, error) { return loadRules(c.Rules.Dir) },
	})
	if err != nil {
		return err
	}
	err = g.Run(a.ctx, func(addrs gateway.Addrs) {
		for name, addr := range addrs {
			log.Info("listening", "name", name, "addr", addr.String())
		}
		log.Info("serving", "hostname", cfg.Hostname, "version", version, "rules", set.Revision())
	})
	end, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), 5*time.Second)
	defer cancel()
	g.Close(end)
	if err == nil {
		log.Info("ended")
	}
	return err
}

// loadChecked loads the rules and refuses them when their own tests fail.
func loadChecked(cfg *config.Config) (*rules.Set, error) {
	set, err := loadRules(cfg.Rules.Dir)
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, p := range set.Check() {
		wrong = append(wrong, errors.New(p.String()))
	}
	return set, errors.Join(wrong...)
}

// unknownSymbols names symbols of DNS lists that no rule gives a worth to: they would count
// for nothing.
func unknownSymbols(cfg *config.Config, set *rules.Set) []string {
	var names []string
	for _, l := range cfg.Lists {
		for _, symbol := range l.Codes {
			names = append(names, symbol)
		}
	}
	var out []string
	for _, n := range set.Unknown(names...) {
		out = append(out, fmt.Sprintf("lists: no rule gives %s a score or an action, so it counts for nothing", n))
	}
	return out
}

// serverLog writes JSON lines; a level that is not known is info.
func serverLog(w io.Writer, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: l}))
}

// quietLog is for commands: only what went wrong.
func quietLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelError}))
}

type offlineOptions struct {
	config string // configuration to judge with; "" = the embedded defaults
	dns    bool
}

// buildOffline makes what scan and eval judge with.
func buildOffline(a *app, o offlineOptions) (*offline, func(), error) {
	cfg := config.Default()
	cfg.Rules.Dir = ""
	cfg.DNS.Budget, cfg.DNS.Timeout = config.Duration(3*time.Second), config.Duration(1500*time.Millisecond)
	if o.config != "" {
		var err error
		if cfg, err = config.Load(o.config); err != nil {
			return nil, nil, err
		}
	}
	set, err := loadRules(cfg.Rules.Dir)
	if err != nil {
		return nil, nil, err
	}
	p, done, err := gateway.Offline(a.ctx, cfg, set, quietLog(a.stderr), a.now, o.dns)
	if err != nil {
		return nil, nil, err
	}
	return &offline{pipeline: p, set: set}, done, nil
}

// contentOnly judges by what the message itself says.
func contentOnly(set *rules.Set) *offline {
	p := &gateway.Checks{}
	return &offline{pipeline: gateway.Pipeline(*p, set, config.Default(), nil), set: set}
}
