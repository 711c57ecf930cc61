// Package desk builds the abuse desk of a gateway out of its rooms: intake, cases, measures,
// letters, connectors.
package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour/geo"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/cases/ledger"
	"postern/abuse/complaint"
	"postern/abuse/connect/authpolicy"
	"postern/abuse/engine"
	"postern/abuse/intake"
	"postern/abuse/intake/feeds"
	"postern/abuse/notice"
	"postern/abuse/notice/edition"
	"postern/abuse/notice/snippet"
	"postern/abuse/proof"
	"postern/abuse/proof/token"
	"postern/abuse/second"
	"postern/abuse/sent"
	"postern/abuse/suppress"
	"postern/cmd/postern/abusedesk"
	"postern/cmd/postern/access/looks"
	"postern/cmd/postern/appeals"
	"postern/cmd/postern/casefile"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/intakecalls"
	"postern/cmd/postern/lettercalls"
	"postern/cmd/postern/noticecalls"
	"postern/cmd/postern/outcalls"
	"postern/cmd/postern/pace"
	"postern/cmd/postern/recipients"
	"postern/cmd/postern/secondcalls"
	"postern/cmd/postern/service"
	"postern/cmd/postern/sourcecalls"
	"postern/cmd/postern/sources"
	"postern/cmd/postern/suppresscalls"
	"postern/filter"
	"postern/internal/alert"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/form"
	"postern/internal/desk/page"
	"postern/internal/entity"
	"postern/internal/record"
	"postern/internal/relay"
	"postern/internal/stamp/keys"
	"postern/rules"
)

// Parts are what the desk works with. All are needed.
type Parts struct {
	Config   *atomic.Pointer[config.Config]
	Entities entity.Home
	Sent     sent.Store
	Accounts *abuse.Accounts
	Keys     *keys.Store
	Ring     *token.Ring
	Key      []byte // of this installation
	Submit   *glue.Submitter
	Held     *Held
	Now      func() time.Time
	Log      *slog.Logger
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Looks    *looks.Book                                                               // at what is not theirs
	Entries  func(ctx context.Context, after int64, limit int) ([]record.Entry, error) // of the audit trail
	Alerts   *alert.Alerter
	Event    func(key, text string, over bool)
	OptedOut *suppress.Book // its Link is set here
	Rules    *atomic.Pointer[rules.Set]
	Service  *service.Desk // the ledger of credits
	Sources  sources.Parts // those of its parts that this room does not have
	// Alone runs f where no other node does the same just now.
	Alone func(ctx context.Context, job string, f func(ctx context.Context) error) error
}

// Desk is the abuse desk.
type Desk struct {
	Cases      *abusedesk.Desk
	Measures   *abusedesk.Measures
	Intake     *intake.Desk
	Answers    *notice.Desk // nil: no letters are written
	Letters    *edition.Desk
	Connectors *abusedesk.Connectors
	Second     *second.Book
	Sources    *sources.Desk
	Recipients *recipients.Desk
	Appeals    *appeals.Desk

	kit *page.Kit // of the public pages

	p     Parts
	geo   *geo.Files
	calls *control.Server // made by Handle
	swept time.Time       // when old reports were looked for
}

// sweepEvery is how often old reports are looked for: each time all that are kept are read.
const sweepEvery = 24 * time.Hour

// New builds the desk. Nothing runs yet.
func New(ctx context.Context, p Parts) (d *Desk, err error) {
	d = &Desk{p: p}
	c := p.Config.Load()
	parts := abusedesk.Parts{Entities: p.Entities, Now: p.Now, Log: p.Log, Audit: p.Audit, Event: p.Event, CalendarDir: c.Abuse.Calendar.Dir, Held: p.Held.Bytes}
	d.Second = d.newSecond()
	parts.Second = d.Second
	parts.Followers = []cases.Named{
		{Name: "signals", Follower: after(func() ledger.Func { return d.complaints })},
		{Name: "verdicts", Follower: after(func() ledger.Func { return d.verdicts().Follow })},
	}
	parts.Followers = append(parts.Followers, cases.Named{Name: "external", Follower: after(func() ledger.Func { return d.Sources.External.Follow })})
	parts.Followers = append(parts.Followers, cases.Named{Name: "opted-out", Follower: p.OptedOut})
	if !c.Abuse.Answers.Off {
		parts.Followers = append(parts.Followers, cases.Named{Name: "letters", Follower: after(func() ledger.Func { return d.Answers.Follow })})
	}
	if d.Cases, err = abusedesk.New(parts); err != nil {
		return nil, err
	}
	p.OptedOut.Link = d.Cases.Cases.Link
	if d.Connectors, err = abusedesk.NewConnectors(abusedesk.ConnectorParts{Config: c, Accounts: p.Accounts, Now: p.Now, Log: p.Log, Event: p.Event}); err != nil {
		return nil, err
	}
	d.Cases.Purgers = abusedesk.PurgeParts{
		Entities: p.Entities, Cases: d.Cases.Cases, Sent: p.Sent, Holds: p.Held.Quarantine, Traffic: time.Duration(c.Store.Traffic),
	}.Purgers()
	d.locate(c)
	d.Measures = abusedesk.NewMeasures(parts, d.Cases, abusedesk.MeasureParts{Config: c, Accounts: p.Accounts, Sent: p.Sent, Connectors: d.Connectors.All, Held: p.Held, Geo: d.geo})
	d.buildIntake(ctx, c)
	if err := d.buildSources(c); err != nil {
		return nil, err
	}
	if err := d.buildRecipients(); err != nil {
		return nil, err
	}
	d.Intake.Bounced = d.bounced
	if c.Abuse.Answers.Off {
		return d, nil
	}
	d.Answers, err = abusedesk.NewAnswers(parts, d.Cases, abusedesk.AnswerParts{Config: c, Letters: d.Letters, Key: p.Key, Own: d.Takes, Submit: p.Submit.Letter})
	if err != nil {
		return nil, err
	}
	d.Answers.Party = abusedesk.Parties{Desk: d.Intake, Cases: d.Cases.Cases}.Party
	d.Intake.Replied = d.Sources.Replied(abusedesk.Replies(d.Cases, d.Answers.Aliases))
	return d, nil
}

// after is a follower that is built after the cases it follows.
func after(f func() ledger.Func) cases.Follower {
	return ledger.Func(func(ctx context.Context, c cases.Case, e cases.Event) error { return f()(ctx, c, e) })
}

func (d *Desk) buildIntake(ctx context.Context, c *config.Config) {
	p := d.p
	d.Intake = &intake.Desk{
		Home: p.Entities, Cases: d.Cases.Cases, Feeds: &feeds.Book{Home: p.Entities, Now: p.Now}, Now: p.Now, Log: p.Log, Hostname: c.Hostname, Alone: p.Alone, Replayed: d.replayed, Observed: d.observed,
		Rates: rates(c),
		Ladder: &proof.Ladder{
			Tokens: p.Ring, Log: p.Sent, Verify: OwnSignatures{Keys: p.Keys, Now: p.Now}.Verify,
			Field: c.Headers.Trace, Keep: time.Duration(c.Abuse.Trace.Keep), Now: p.Now,
		},
		Postmaster: forPostmaster, Takes: d.Takes,
	}
	d.Intake.Open()
	d.Intake.Feeds.Refresh(ctx)
	if c.Abuse.Intake.CopyTo != "" {
		d.Intake.Copy = d.copyTo
	}
}

// copyTo sends a safe copy of a report to the people's mailbox.
func (d *Desk) copyTo(ctx context.Context, message []byte) error {
	c := d.p.Config.Load()
	to := c.Abuse.Intake.CopyTo
	if to == "" {
		return nil
	}
	return d.p.Submit.Report(ctx, to, fmt.Appendf(nil, "From: <abuse-desk@%s>\r\nTo: <%s>\r\n%s", c.Hostname, to, message))
}

// Relay is how mail comes to the desk.
func (d *Desk) Relay() relay.Desk { return intoDesk{Desk: d.Intake} }

// Takes reports whether mail to an address is the desk's.
func (d *Desk) Takes(addr string) bool {
	c := d.p.Config.Load()
	if c.Abuse.Intake.Off {
		return false
	}
	hosted := func(domain string) bool {
		_, ok := glue.RouteFor(c, domain)
		return ok
	}
	return intake.Addresses{Hosted: hosted, Own: c.Abuse.Intake.Addresses, Also: d.also}.Take(addr)
}

// also are the aliases of feedback loops and of cases.
func (d *Desk) also(addr string) bool {
	if d.Answers != nil {
		if _, ok := d.Answers.Aliases.Case(addr); ok {
			return true
		}
	}
	return d.Intake.Feeds.Alias(addr)
}

// Always: nothing that rules say at RCPT keeps a complaint away.
func Always(to filter.Recipient) bool { return to.Backend == relay.DeskBackend }

// bounced finds the letter that a delivery report is about.
func (d *Desk) bounced(ctx context.Context, r complaint.Report) (bool, error) {
	id := r.Claims.MessageID
	if ours, err := d.Sources.Bounced(ctx, r); ours || err != nil || id == "" || d.Answers == nil {
		return ours, err
	}
	why := ""
	for _, b := range r.Bounced {
		why = b.Status + " " + b.Diagnostic
	}
	return d.Answers.Bounced(ctx, id, why)
}

// replayed proposes to take a signature away that is being sent around.
func (d *Desk) replayed(_ context.Context, serial, account string, n int) {
	d.p.Alerts.Raise("replay:"+serial, alert.Warning, fmt.Sprintf("message %s of %s is being sent on with its signature to people it was not for", serial, account),
		fmt.Sprintf("%d reports came from others than its recipients. The volume is not the account's. A new selector (postern dkim rotate) and the end of the old one take the signature away.", n))
}

// Handle adds the desk's calls to s.
func (d *Desk) Handle(s *control.Server) {
	d.Cases.Handle(s)
	d.Measures.Handle(s)
	casefile.Parts{Desk: d.Cases.Cases, Sent: d.p.Sent, Measures: d.Measures.Desk, Entries: d.p.Entries, Now: d.p.Now}.Handle(s)
	sourcecalls.Parts{Desk: d.Sources}.Handle(s)
	suppresscalls.Handle(s, d.p.OptedOut)
	noticecalls.Handle(s, d.Answers)
	lettercalls.Parts{Letters: d.Letters, Snippets: &snippet.Book{Store: d.p.Entities, Now: d.p.Now, Audit: d.p.Audit}, Answers: d.p.Config.Load().Abuse.Answers}.Handle(s)
	outcalls.Parts{Home: d.p.Entities, Letters: d.Answers, Reports: d.Sources.External, Waits: d.waits, Now: d.p.Now}.Handle(s)
	secondcalls.Handle(s, d.Second)
	d.Recipients.Handle(s)
	d.Appeals.Handle(s)
	d.calls = s
	pace.Pace{Book: d.Second, Steps: &second.Pace{Store: d.p.Entities, Now: d.p.Now}, Alert: d.p.Event}.Handle(s)
	intakecalls.Parts{Desk: d.Intake, Verdicts: d.verdicts(), Audit: d.p.Audit}.Handle(s)
}

// Loops run on their own clock, by name.
func (d *Desk) Loops(l abusedesk.Listeners) map[string]func(context.Context) error {
	out := map[string]func(context.Context) error{"intake": d.Intake.Run, "measures": d.tendMeasures, "kill switch": d.Measures.Switch.Run}
	maps.Copy(out, d.Sources.Loops())
	out["opted out"] = d.p.OptedOut.Run
	out["digests"], out["links to held mail"] = d.Recipients.Run, d.Recipients.Answer
	out["logins"], out["geo"] = d.Measures.Logins.Run, d.geo.Run
	learn := func(l authpolicy.Login) {
		if l.OK || !l.PolicyNo { // what we refused ourselves was no guess
			d.Measures.Logins.Seen(l.Account, l.From, l.OK)
		}
	}
	for i, loop := range d.Connectors.Loops(l, learn) {
		out[fmt.Sprintf("connector %d", i)] = loop
	}
	return out
}

// tendMeasures acts on what accounts send; of several nodes one does.
func (d *Desk) tendMeasures(ctx context.Context) error {
	tick := time.NewTicker(engine.Every)
	defer tick.Stop()
	for {
		if err := d.p.Alone(ctx, "measures", d.Measures.Tend); err != nil && ctx.Err() == nil {
			d.p.Log.Error("measures", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Tend does what is due; of several nodes one does it at a time.
func (d *Desk) Tend(ctx context.Context) error {
	errs := []error{d.Cases.Tend(ctx), d.Second.Tend(ctx), d.p.OptedOut.Tend(ctx), d.Appeals.Tend(ctx)}
	if d.Answers != nil {
		errs = append(errs, d.Answers.Tend(ctx))
	}
	if now := d.p.Now(); now.Sub(d.swept) >= sweepEvery || now.Before(d.swept) {
		_, err := d.Intake.Sweep(ctx, now.Add(-time.Duration(d.p.Config.Load().Abuse.Intake.Keep)), d.heldByCase)
		if err == nil {
			d.swept = now
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Reload takes over what of a new configuration may change while mail flows.
func (d *Desk) Reload(c *config.Config) error {
	d.Intake.Limit(rates(c))
	return errors.Join(d.Cases.Reload(c.Abuse.Calendar.Dir), d.geo.Use(places(c)))
}

// heldByCase: while a case is not closed, its reports stay.
func (d *Desk) heldByCase(ctx context.Context, w intake.Work) (bool, error) {
	for _, id := range w.Cases {
		c, err := d.Cases.Cases.Get(ctx, id)
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

// Form takes what people write on the public page.
func (d *Desk) Form(ctx context.Context, c form.Complaint) (string, error) {
	id, err := d.Intake.Take(ctx, intake.Submission{
		Source: intake.ByForm, Reporter: c.Email, From: c.Source.String(), Language: c.Language, Text: c.Text, Original: c.Message,
	})
	if errors.Is(err, intake.ErrFull) {
		return "", form.ErrFull
	}
	return id, err
}
