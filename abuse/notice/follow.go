package notice

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/notice/letter"
	"postern/internal/entity"
	"postern/internal/said"
)

// maxReporters bounds how many people hear the result of one case.
const maxReporters = 500

// results are the letters that reporters get when a case comes into a state.
func results(to flow.State) (letter.Kind, bool) {
	switch to {
	case flow.NotOurs:
		return letter.NotOurs, true
	case flow.Rejected, flow.Released:
		return letter.Rejected, true
	case flow.Warned, flow.Suspended, flow.Terminated, flow.Resolved:
		return letter.Result, true
	}
	return "", false
}

// toAccount are the letters that the account of a case gets. One whose guarantee was refused has
// the others already.
func toAccount(from, to flow.State) []letter.Kind {
	switch to {
	case flow.Warned:
		return []letter.Kind{letter.Warning}
	case flow.Suspended:
		if from == flow.GuaranteeIn {
			return []letter.Kind{letter.Refused}
		}
		return []letter.Kind{letter.Suspension, letter.Guarantee}
	case flow.Probation:
		return []letter.Kind{letter.Reinstated}
	}
	return nil
}

// Follow implements cases.Follower: it writes what an event asks for.
func (d *Desk) Follow(ctx context.Context, c cases.Case, e cases.Event) error {
	if c.Drill {
		return nil
	}
	switch e.Action {
	case "opened": // nobody is written to before the report is counted
		return nil
	case "report", "duplicate": // who reports what was reported before is owed an answer as well
		return d.reported(ctx, c, e)
	case "clock": // a person still has time to look at what would be said
		if e.Data["clock"] == string(flow.Result) && e.To == "" && c.Person && c.MergedInto == "" {
			return d.prepared(ctx, c)
		}
	}
	if e.To == "" || e.To == e.From {
		return nil
	}
	if e.To == flow.NeedsInfo {
		return d.everyone(ctx, c, letter.NeedInfo, e)
	}
	for _, kind := range toAccount(e.From, e.To) {
		if err := d.account(ctx, c, kind, e); err != nil {
			return err
		}
	}
	kind, ok := results(e.To)
	if !ok {
		return nil
	}
	if err := d.overtaken(ctx, c, e.To); err != nil {
		return err
	}
	return d.everyone(ctx, c, kind, e)
}

// reported answers a report: with the result where the case has one already, else with an
// acknowledgement.
func (d *Desk) reported(ctx context.Context, c cases.Case, e cases.Event) error {
	link, err := d.Cases.Link(ctx, e.Report)
	if err != nil {
		return err
	}
	kind, decided := results(c.State)
	switch {
	case !link.Person && (!decided || e.Action == "duplicate"):
		return nil
	case !decided:
		return d.ack(ctx, c, e.Report)
	}
	var n Notice
	n.stop(Barred, nobody())
	if link.Person {
		if n, err = d.reporter(ctx, c, kind, e.Report, cases.Event{To: c.State, At: e.At}, map[string]bool{}); err != nil {
			return err
		}
	}
	if n.State == Barred {
		n.ID = ""
	}
	_, err = d.Cases.Result(ctx, cases.Machine(), c.ID, n.ID, n.Reason())
	return err
}

// nobody is why nobody hears of a result.
func nobody() said.Words { return said.Say("barred.no-person", "no person reported it") }

func (d *Desk) when(t time.Time) letter.When {
	if t.IsZero() {
		return letter.When{}
	}
	return letter.When{Time: t.In(d.Zone)}
}

// due is until when a clock of a case runs, running or not.
func (d *Desk) due(c cases.Case, name flow.Name) letter.When {
	if k := c.Clock(name); k != nil {
		return d.when(k.Due())
	}
	return letter.When{}
}

func (d *Desk) vars(c cases.Case, language string, p Party, e cases.Event) letter.Vars {
	v := letter.Vars{
		Ticket: c.ID, About: letter.Masked(p.About, language), Received: d.when(c.Opened), FirstDue: d.due(c, flow.First), ResultDue: d.due(c, flow.Result),
		Hours: d.Hours, Proof: c.Sentence, Desk: d.Name, Measure: letter.Measure(language, string(e.To), c.Level), Missing: e.Text,
	}
	for _, name := range []flow.Name{flow.Reply, flow.Customer, flow.Trial} {
		if k := c.Running(name); k != nil {
			v.Deadline = d.when(k.Due())
		}
	}
	if d.Link != nil {
		v.Link = d.Link(c.ID)
	}
	if v.Proof == "" {
		v.Proof = letter.NoProof(language)
	}
	return v
}

// language is the one a party wrote in, else that of the case.
func (d *Desk) language(c cases.Case, p Party) string {
	all := letter.Languages()
	for _, l := range []string{p.Language, c.Language} {
		if slices.Contains(all, l) {
			return l
		}
	}
	return all[0]
}

// ack tells a reporter that the report arrived.
func (d *Desk) ack(ctx context.Context, c cases.Case, report string) error {
	p, err := d.Party(ctx, report)
	if err != nil {
		return err
	}
	n := Notice{ID: hashed("ack", c.ID, p.To), Case: c.ID, Report: report, Kind: letter.Ack, To: p.To, Language: d.language(c, p), InReplyTo: p.MessageID, Auto: "auto-replied"}
	why := WhyNot(p, d.Own)
	if why.Code == "" {
		now := d.Now()
		had, err := d.table().Count(ctx, entity.Query{Index: "to", Value: hashed(string(letter.Ack), p.To), From: now.Add(-AckEvery).UnixMilli() + 1, To: now.UnixMilli() + 1}, 1)
		if err != nil {
			return err
		}
		if had > 0 {
			if _, err := d.table().Get(ctx, n.ID); err != nil { // of another case
				why = said.Say("barred.had-acknowledgement", "this sender had an acknowledgement within %d hours", "n", int(AckEvery/time.Hour))
			}
		}
	}
	if why.Code != "" {
		n.ID = hashed("ack", c.ID, p.To, report)
		n.stop(Barred, why)
	}
	n, err = d.write(ctx, n, d.vars(c, n.Language, p, cases.Event{}))
	if err != nil {
		return err
	}
	_, err = d.Cases.Acknowledged(ctx, cases.Machine(), c.ID, report, noted(n))
	return err
}

func noted(n Notice) said.Words {
	if n.State == Barred {
		return said.Say("note.not-sent", "not sent: %s", "why", n.Reason())
	}
	return said.Say("note.notice", "notice %s", "id", n.ID)
}

// everyone writes to the people who reported, each once, and tells the case of results.
func (d *Desk) everyone(ctx context.Context, c cases.Case, kind letter.Kind, e cases.Event) error {
	sent, barred, n := "", said.Words{}, 0
	seen := map[string]bool{}
	for after := ""; n < maxReporters; {
		links, next, err := d.Cases.Reports(ctx, c.ID, after, 100)
		if err != nil {
			return err
		}
		for _, l := range links {
			if !l.Person || n >= maxReporters {
				continue
			}
			one, err := d.reporter(ctx, c, kind, l.Report, e, seen)
			if err != nil {
				return err
			}
			n++
			if one.State == Barred {
				barred = one.Reason()
			} else if one.ID != "" {
				sent = one.ID
			}
		}
		if after = next; next == "" {
			break
		}
	}
	if kind == letter.NeedInfo {
		return nil
	}
	if sent == "" && barred.English == "" {
		barred = nobody()
	}
	if sent != "" {
		barred = said.Words{}
	}
	_, err := d.Cases.Result(ctx, cases.Machine(), c.ID, sent, barred)
	return err
}

func (d *Desk) reporter(ctx context.Context, c cases.Case, kind letter.Kind, report string, e cases.Event, seen map[string]bool) (Notice, error) {
	p, err := d.Party(ctx, report)
	if err != nil || seen[p.To] {
		return Notice{}, err
	}
	seen[p.To] = true
	if had, ok, err := d.measured(ctx, c, p.To, kind, e.To); ok || err != nil {
		return had, err
	}
	n := Notice{ID: resultID(kind, c, p.To, e.To), Case: c.ID, Report: report, Kind: kind, To: p.To, Language: d.language(c, p), InReplyTo: p.MessageID, Auto: "auto-replied"}
	if why := WhyNot(p, d.Own); why.Code != "" {
		n.stop(Barred, why)
	} else if had, ok, err := d.byHand(ctx, c, p.To, kind); ok || err != nil {
		return had, err
	}
	return d.write(ctx, n, d.vars(c, n.Language, p, e))
}

func resultID(kind letter.Kind, c cases.Case, to string, state flow.State) string {
	return hashed(string(kind), c.ID, to, string(state), strconv.Itoa(c.Reopened))
}

// measured is the letter that told a reporter of the measure: that the case is resolved after it
// is no other result.
func (d *Desk) measured(ctx context.Context, c cases.Case, to string, kind letter.Kind, state flow.State) (Notice, bool, error) {
	if kind != letter.Result || state != flow.Resolved {
		return Notice{}, false, nil
	}
	for _, before := range []flow.State{flow.Terminated, flow.Suspended, flow.Warned} {
		row, err := d.table().Get(ctx, resultID(kind, c, to, before))
		switch {
		case errors.Is(err, entity.ErrNotFound):
		case err != nil:
			return Notice{}, false, err
		case row.Value.State != Barred:
			return row.Value, true, nil
		}
	}
	return Notice{}, false, nil
}

// account writes to the account of a case: reading goes on while sending is suspended.
func (d *Desk) account(ctx context.Context, c cases.Case, kind letter.Kind, e cases.Event) error {
	if !strings.Contains(c.Account, "@") {
		return nil // no address: the agent tells them by other means
	}
	language := d.language(c, Party{})
	v := d.vars(c, language, Party{}, e)
	v.Account, v.About = c.Account, c.Account
	_, err := d.write(ctx, Notice{ID: hashed(string(kind), c.ID, c.Account, e.At.UTC().Format(time.RFC3339Nano)), Case: c.ID, Kind: kind, To: c.Account, Language: language, Auto: "auto-generated"}, v)
	return err
}
