package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"postern/abuse"
	"postern/abuse/cases"
	"postern/abuse/signal"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/said"
)

// The weights of what is seen of an account besides its behaviour.
const (
	trapWeight    = 40
	listingWeight = 15
)

// Done implements filter.Observer: who writes to a spam trap has hit it, whatever became of the
// message.
func (d *Desk) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	traps := d.p.Config.Load().Abuse.Signals
	if len(traps.Traps) == 0 || len(o.Fates) == 0 {
		return nil
	}
	var errs []error
	for _, to := range m.To {
		trap := traps.Trap(to.Address)
		if trap == "" {
			continue
		}
		if m.Direction == filter.Outbound {
			errs = append(errs, d.hit(ctx, m.Account, trap, m.ID, said.Say("seen.trap", "it wrote to the spam trap %s", "trap", trap), ""))
			continue
		}
		_, err := d.Sources.Trapped(ctx, m, trap)
		if !errors.Is(err, sources.ErrSight) { // its source cannot be told, or is ours
			errs = append(errs, err)
		}
		break // one message is one hit of its source
	}
	return errors.Join(errs...)
}

// hit writes down that an account has hit a trap, once for a message.
func (d *Desk) hit(ctx context.Context, account, trap, what string, seen said.Words, caseID string) error {
	account = abuse.Name(account)
	if account == "" {
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s", account, trap, what))
	return d.Measures.Signals.Add(ctx, signal.Signal{
		ID: "trap:" + hex.EncodeToString(sum[:12]), Family: signal.Traps, Rule: "trap", Account: account, Tenant: d.p.Accounts.DomainOf(account),
		At: d.p.Now().UTC(), Weight: trapWeight, Case: caseID,
	}.Saying(seen))
}

// listed hands a listing of our own addresses to the account whose case is its cause.
func (d *Desk) listed(ctx context.Context, c cases.Case, e cases.Event) error {
	cause := e.Data["cause"]
	if e.Action != "listing" && e.Action != "cause" || cause == "" || c.Drill {
		return nil
	}
	of, err := d.Cases.Cases.Get(ctx, cause)
	if err != nil || of.Account == "" || of.Drill {
		return err
	}
	return d.Measures.Signals.Add(ctx, signal.Signal{
		ID: "listing:" + c.ID + ":" + of.ID, Family: signal.Listings, Rule: "listing", Account: abuse.Name(of.Account), Tenant: d.p.Accounts.DomainOf(of.Account),
		At: d.p.Now().UTC(), Weight: listingWeight, Case: of.ID,
	}.Saying(said.Say("seen.listing", "our own addresses are listed elsewhere because of it (%s)", "subject", c.Subject)))
}
