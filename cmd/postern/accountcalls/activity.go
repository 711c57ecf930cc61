package accountcalls

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour/logins"
	"postern/abuse/cases"
	"postern/abuse/engine"
	"postern/abuse/guarantee"
	"postern/abuse/history"
	"postern/abuse/measure"
	"postern/abuse/signal"
)

// Named asks about one account.
type Named struct {
	Name string `json:"name"`
}

// Activity is what one account did, and what was done about it.
type Activity struct {
	Name     string            `json:"name"`
	Known    bool              `json:"known"` // anything at all is known of it
	Account  abuse.Account     `json:"account"`
	Level    string            `json:"level"`
	Domain   bool              `json:"domain,omitempty"` // the record of its domain rules
	Sends    history.History   `json:"sends"`
	Judged   engine.Judged     `json:"judged"`
	Logins   []Login           `json:"logins"` // of the last two days
	Votes    Votes             `json:"votes"`
	Measures []measure.Measure `json:"measures"` // the youngest first, those that ended too
	Cases    []Case            `json:"cases"`
	Strikes  int               `json:"strikes"`
	Trial    *Trial            `json:"trial,omitempty"`

	Guarantees   []guarantee.Pack        `json:"guarantees"`
	Certificates []guarantee.Certificate `json:"certificates"`
}

// Login is where somebody logged in to it, or tried to.
type Login struct {
	Network string     `json:"network"`
	Client  netip.Addr `json:"client"`
	Country string     `json:"country,omitempty"`
	ASN     uint32     `json:"asn,omitempty"`
	Last    time.Time  `json:"last"`
	Worked  bool       `json:"worked,omitempty"`
	Failed  int        `json:"failed,omitempty"`
}

// Votes are complaints of the last 30 days: those whose copy proves itself, and the others.
type Votes struct {
	Proven   int             `json:"proven"`   // hundredths; one delivered copy has one vote
	Unproven int             `json:"unproven"` // complaints without a vote
	Last     []signal.Signal `json:"last"`
}

// Case is one about the account.
type Case struct {
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Opened  time.Time `json:"opened"`
	Grade   int       `json:"grade"`
	Votes   int       `json:"votes"`
	Reports int       `json:"reports"`
}

// Trial is a probation.
type Trial struct {
	Pack       string    `json:"pack"`
	Case       string    `json:"case"`
	From       time.Time `json:"from"`
	Until      time.Time `json:"until"`
	Share      int       `json:"share"` // per cent of the normal rate
	Messages   int       `json:"messages"`
	Recipients int       `json:"recipients"`
	Steps      []Step    `json:"steps"` // if no complaint comes
}

// Step is one of the ramp.
type Step struct {
	At    time.Time `json:"at"`
	Share int       `json:"share"`
}

// Bounds of what is shown of one account.
const (
	shownVotes    = 50
	shownSignals  = 1000
	shownLogins   = 100
	shownMeasures = 100
	shownCases    = 50
)

func (c *calls) activity(ctx context.Context, q Named) (out Activity, err error) {
	if out.Name, err = named(q.Name); err != nil {
		return out, err
	}
	now := c.Now().UTC()
	acc := c.Accounts.Force(out.Name)
	out.Known = acc.Name != ""
	out.Domain = acc.Name != "" && acc.Name != out.Name
	if acc.Name == "" {
		acc = abuse.Account{Name: out.Name, State: abuse.Active}
	}
	out.Account, out.Level = acc, acc.Effective().String()
	if err := c.Engine.Refresh(ctx); err != nil {
		return out, err
	}
	if out.Sends, err = history.Of(ctx, c.Sent, out.Name, now, c.Geo); err != nil {
		return out, err
	}
	out.Known = out.Known || out.Sends.Month.Messages > 0
	if out.Judged, err = c.Engine.Judge(ctx, out.Name); err != nil {
		return out, err
	}
	out.Judged.Signals = some(out.Judged.Signals)
	if out.Measures, _, err = c.Desk.List(ctx, out.Name, false, "", shownMeasures); err != nil {
		return out, err
	}
	out.Measures = some(out.Measures)
	if err := c.logins(ctx, &out); err != nil {
		return out, err
	}
	heard, err := c.Signals.Of(ctx, out.Name, shownSignals)
	if err != nil {
		return out, err
	}
	out.votes(heard, now)
	return out, c.papers(ctx, &out, heard, now)
}

// logins are those of a network and hour, put together by network.
func (c *calls) logins(ctx context.Context, out *Activity) error {
	rows, err := c.Logins.Of(ctx, out.Name, shownLogins)
	if err != nil {
		return err
	}
	out.Logins = []Login{}
	for _, r := range rows {
		i := slices.IndexFunc(out.Logins, func(l Login) bool { return l.Network == r.Network })
		if i < 0 {
			i = len(out.Logins)
			out.Logins = append(out.Logins, c.login(r))
		}
		l := &out.Logins[i]
		if r.At.After(l.Last) {
			l.Last = r.At
		}
		l.Worked = l.Worked || r.Failed == 0
		l.Failed += r.Failed
	}
	out.Known = out.Known || len(rows) > 0
	return nil
}

func (c *calls) login(r logins.Row) Login {
	l := Login{Network: r.Network, Client: r.Client, Last: r.At}
	if c.Geo != nil {
		w := c.Geo.Where(r.Client.Unmap())
		l.Country, l.ASN = w.Country, w.ASN
	}
	return l
}

func (out *Activity) votes(heard []signal.Signal, now time.Time) {
	out.Votes.Last = []signal.Signal{}
	copies := map[string]bool{}
	for _, s := range heard {
		if s.Family != signal.Complaints || now.Sub(s.At) > 30*24*time.Hour {
			continue
		}
		switch {
		case s.Votes <= 0 || s.Copy != "" && copies[s.Copy]:
			out.Votes.Unproven++
		default:
			out.Votes.Proven += s.Votes
			copies[s.Copy] = true
		}
		if len(out.Votes.Last) < shownVotes {
			out.Votes.Last = append(out.Votes.Last, s)
		}
	}
}

// papers are cases, guarantees and what follows from them.
func (c *calls) papers(ctx context.Context, out *Activity, heard []signal.Signal, now time.Time) error {
	all, _, err := c.Cases.Find(ctx, cases.Search{Account: out.Name, Limit: shownCases})
	if err != nil {
		return err
	}
	out.Cases = []Case{}
	for _, x := range all {
		out.Cases = append(out.Cases, Case{x.ID, string(x.State), x.Opened, x.Grade, x.Votes, x.Reports})
		out.Strikes = max(out.Strikes, x.Strikes)
	}
	out.Known = out.Known || len(all) > 0
	if out.Guarantees, out.Certificates, err = c.guarantees(ctx, out.Name); err != nil {
		return err
	}
	out.Guarantees, out.Certificates = some(out.Guarantees), some(out.Certificates)
	for _, p := range out.Guarantees {
		if p.State == guarantee.Approved {
			out.Strikes = max(out.Strikes, 1)
			out.Trial = c.trial(p, heard, now)
			break
		}
	}
	return nil
}

func (c *calls) trial(p guarantee.Pack, heard []signal.Signal, now time.Time) *Trial {
	r := p.Ramp()
	var hit time.Time // what sets the ramp back: the same as where it is enforced
	for _, s := range heard {
		vote := s.Family == signal.Complaints && s.Votes >= 100 && !s.SentAt.Before(r.From)
		if (vote || s.Family == signal.Traps) && !s.At.Before(r.From) && s.At.After(hit) {
			hit = s.At
		}
	}
	t := &Trial{Pack: p.ID, Case: p.Case, From: r.From, Until: r.Until, Share: r.Share(now, hit)}
	messages, recipients := c.Full()
	t.Messages, t.Recipients = max(messages*t.Share/100, 1), max(recipients*t.Share/100, 1)
	for at, last := r.From, 0; !at.After(r.Until); at = at.Add(6 * time.Hour) {
		seen := time.Time{}
		if hit.Before(at) {
			seen = hit
		}
		if share := r.Share(at, seen); share != last {
			t.Steps = append(t.Steps, Step{at, share})
			last = share
		}
	}
	return t
}
