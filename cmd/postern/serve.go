package main

import (
	"context"
	"fmt"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/internal/config"
	"postern/rules"
)

type serveCmd struct{}

// Run builds the gateway and serves until SIGTERM or an interrupt; then it drains.
func (c *serveCmd) Run(a *app.App) error {
	read := a.Now()
	cfg, err := config.Load(a.Config)
	if err != nil {
		return err
	}
	log := a.ServerLog(cfg.Log.Level)
	for _, w := range cfg.Warnings() {
		log.Warn(w)
	}
	set, err := app.LoadChecked(cfg.Rules.Dir)
	if err != nil {
		return err
	}
	for _, w := range unknownSymbols(cfg, set) {
		log.Warn(w)
	}
	g, err := gateway.Build(a.Ctx, gateway.Options{
		Config: cfg, Rules: set, Log: log, Now: a.Now, ConfigFile: a.Config, Read: read, Version: version,
		ReadConfig: func() (*config.Config, error) { return config.Load(a.Config) },
		ReadRules:  func(c *config.Config) (*rules.Set, error) { return app.LoadRules(c.Rules.Dir) },
	})
	if err != nil {
		return err
	}
	err = g.Run(a.Ctx, func(addrs gateway.Addrs) {
		for name, addr := range addrs {
			log.Info("listening", "name", name, "addr", addr.String())
		}
		log.Info("serving", "hostname", cfg.Hostname, "version", version, "rules", set.Revision())
	})
	end, cancel := context.WithTimeout(context.WithoutCancel(a.Ctx), 5*time.Second)
	defer cancel()
	g.Close(end)
	if err == nil {
		log.Info("ended")
	}
	return err
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
