package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/intake"
	"postern/abuse/intake/feeds"
	"postern/abuse/proof"
	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/alert"
	"postern/internal/config/desk"
	"postern/internal/relay"
)

// buildIntake makes what takes complaints in.
func (g *Gateway) buildIntake(ctx context.Context) error {
	c := g.cfg.Load()
	g.intake = &intake.Desk{
		Home: g.home.Entities, Cases: g.desk.Cases, Feeds: &feeds.Book{Home: g.home.Entities, Now: g.now}, Now: g.now, Log: g.log,
		Hostname: c.Hostname, Rates: intakeRates(c.Abuse.Intake.Rates), Alone: g.alone, Replayed: g.replayed,
		Ladder: &proof.Ladder{
			Tokens: g.outbound.Ring(), Log: g.home.Sent, Verify: glue.OwnSignatures{Keys: g.keys, Now: g.now}.Verify,
			Field: c.Headers.Trace, Keep: time.Duration(c.Abuse.Trace.Keep), Now: g.now,
		},
		Postmaster: glue.ForPostmaster, Takes: g.forDesk,
	}
	g.intake.Open()
	g.intake.Feeds.Refresh(ctx)
	if c.Abuse.Intake.CopyTo != "" {
		g.intake.Copy = func(ctx context.Context, message []byte) error {
			to := g.cfg.Load().Abuse.Intake.CopyTo
			if to == "" {
				return nil
			}
			return g.submitter().Report(ctx, to, fmt.Appendf(nil, "From: <abuse-desk@%s>\r\nTo: <%s>\r\n%s", g.cfg.Load().Hostname, to, message))
		}
	}
	g.relay.Desk = glue.Intake{Desk: g.intake}
	return nil
}

func intakeRates(r desk.IntakeRates) intake.Rates {
	return intake.Rates{Reporter: r.Reporter, Domain: r.Domain, Feed: r.Feed, Network: r.Network, Unproved: r.Unproved, Target: r.Target}
}

// forDesk reports whether mail to an address is the abuse desk's.
func (g *Gateway) forDesk(addr string) bool {
	c := g.cfg.Load()
	if c.Abuse.Intake.Off {
		return false
	}
	hosted := func(domain string) bool {
		_, ok := glue.RouteFor(c, domain)
		return ok
	}
	return intake.Addresses{Hosted: hosted, Own: c.Abuse.Intake.Addresses, Also: g.intake.Feeds.Alias}.Take(addr)
}

// always: nothing that rules say at RCPT keeps a complaint away.
func (g *Gateway) always(to filter.Recipient) bool { return to.Backend == relay.DeskBackend }

// replayed proposes to take a signature away that is being sent around.
func (g *Gateway) replayed(_ context.Context, serial, account string, n int) {
	g.alerts.Raise("replay:"+serial, alert.Warning, fmt.Sprintf("message %s of %s is being sent on with its signature to people it was not for", serial, account),
		fmt.Sprintf("%d reports came from others than its recipients. The volume is not the account's. A new selector (postern dkim rotate) and the end of the old one take the signature away.", n))
}

// sweepReports forgets old reports that no open case holds.
func (g *Gateway) sweepReports(ctx context.Context) error {
	_, err := g.intake.Sweep(ctx, g.now().Add(-time.Duration(g.cfg.Load().Abuse.Intake.Keep)), g.heldByCase)
	return err
}

// heldByCase: while a case is not closed, its reports stay.
func (g *Gateway) heldByCase(ctx context.Context, w intake.Work) (bool, error) {
	for _, id := range w.Cases {
		c, err := g.desk.Cases.Get(ctx, id)
		switch {
		case errors.Is(err, dossier.ErrNotFound):
		case err != nil:
			return true, err
		case c.LegalHold || c.State != flow.Closed:
			return true, nil
		}
	}
	return false, nil
}
