package main

import (
	"context"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/gateway"
	"postern/cmd/postern/setup"
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
	for _, w := range append(cfg.Warnings(), setup.Beneath(cfg)...) {
		log.Warn(w)
	}
	set, err := app.LoadChecked(cfg.Rules.Dir)
	if err != nil {
		return err
	}
	for _, w := range setup.UnknownSymbols(cfg, set) {
		log.Warn(w)
	}
	g, err := gateway.Build(a.Ctx, gateway.Options{
		Config: cfg, Rules: set, Log: log, Now: a.Now, Self: a.Self, ConfigFile: a.Config, Read: read, Version: version,
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
