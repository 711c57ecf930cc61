package gateway

import (
	"context"

	"postern/cmd/postern/home"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/steps"
	"postern/rules"
)

// buildRules makes the calls over rules and other files of the operator's, and switches off
// what was switched off before the start.
func (g *Gateway) buildRules(ctx context.Context) error {
	p := rulecalls.Parts{
		Config: g.cfg.Load, Started: g.opt.Config, ConfigFile: g.opt.ConfigFile, Node: g.opt.Config.Hostname, Entities: g.home.Entities, Rules: g.written.Load,
		Pipeline: g.pipeline.Load, Quarantine: g.quarantine, Spool: g.spool, Traffic: g.home.Traffic, Switch: g.switchOff, Now: g.now, Log: g.log, Audit: g.audit.Write,
		Nodes: func(ctx context.Context) []home.Node { return g.home.Status(ctx).Nodes },
	}
	if g.opt.ReadConfig != nil {
		p.Reload = g.Reload
	}
	g.ruling = rulecalls.Start(ctx, p)
	return nil
}

// rule judges by a set of the files from now on, without what is switched off.
func (g *Gateway) rule(written *rules.Set) {
	set := written
	if off := g.off.Load(); off != nil {
		set = written.Without(*off)
	}
	g.written.Store(written)
	g.rules.Store(set)
	g.pipeline.Store(steps.Pipeline(g.steps, set, g.cfg.Load(), g.log))
}

func (g *Gateway) switchOff(off []string) {
	g.reloading.Lock()
	defer g.reloading.Unlock()
	g.off.Store(&off)
	g.rule(g.written.Load())
}
