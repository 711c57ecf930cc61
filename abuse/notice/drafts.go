package notice

import (
	"context"
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

// Own is the kind of a letter in a person's own words.
const Own letter.Kind = "answer"

// toReporter are the kinds of letters that a person can prepare for a reporter.
func toReporter() []letter.Kind {
	return []letter.Kind{Own, letter.NeedInfo, letter.Result, letter.Rejected, letter.NotOurs}
}

// maxDrafts bounds how many reporters of a case get a result prepared; what brings the case
// into a state writes to all.
const maxDrafts = 10

// Get returns a letter.
func (d *Desk) Get(ctx context.Context, id string) (Notice, error) {
	row, err := d.table().Get(ctx, id)
	return row.Value, err
}

// Prepare writes a draft to a reporter of a case, for a person to change and send. report ""
// is the first of a person; kind "" leaves the words to the person.
func (d *Desk) Prepare(ctx context.Context, who cases.Actor, caseID, report, language string, kind letter.Kind) (Notice, error) {
	if kind == "" {
		kind = Own
	}
	if !slices.Contains(toReporter(), kind) {
		return Notice{}, said.Errorf("notice.a-letter-to-a-reporter-is-one", "%w: a letter to a reporter is one of %v", "kind", letter.ErrLetter, "toreporter", toReporter())
	}
	c, err := d.Cases.Get(ctx, caseID)
	if err != nil {
		return Notice{}, err
	}
	if report == "" {
		people, err := d.people(ctx, c.ID, 1)
		if err != nil {
			return Notice{}, err
		}
		if len(people) == 0 {
			return Notice{}, said.Errorf("notice.no-person-reported", "%w: no person reported %s", "kind", ErrBarred, "id", c.ID)
		}
		report = people[0]
	}
	return d.draft(ctx, c, report, language, kind, who.Name, d.Now().UTC().Format(time.RFC3339Nano))
}

// draft keeps a draft; mark makes it another one than those before.
func (d *Desk) draft(ctx context.Context, c cases.Case, report, language string, kind letter.Kind, by, mark string) (Notice, error) {
	link, err := d.Cases.Link(ctx, report)
	if err != nil {
		return Notice{}, err
	}
	if link.Case != "" && link.Case != c.ID {
		return Notice{}, said.Errorf("notice.the-report-is-of", "%w: the report %s is of %s", "kind", ErrBarred, "report", report, "case", link.Case)
	}
	p, err := d.Party(ctx, report)
	if err != nil {
		return Notice{}, err
	}
	if why := WhyNot(p, d.Own); why.Code != "" {
		return Notice{}, said.Errorf("detail", "%w: %s", "kind", ErrBarred, "what", why)
	}
	if language == "" {
		language = d.language(c, p)
	}
	n := Notice{ID: hashed("draft", c.ID, report, string(kind), mark), Case: c.ID, Report: report, Kind: kind, To: p.To, Language: language, InReplyTo: p.MessageID,
		State: Drafted, By: by, At: d.Now().UTC(), Round: c.Reopened}
	if kind == Own {
		n.Subject = "[" + c.ID + "]"
		return d.keep(ctx, n)
	}
	t, err := d.compose(ctx, c, p, language, kind)
	if err != nil {
		return n, err
	}
	n.say(c, t)
	return d.keep(ctx, n)
}

// people are reports of a case that persons made, one of each, at most n.
func (d *Desk) people(ctx context.Context, caseID string, n int) ([]string, error) {
	var out []string
	seen := map[string]bool{}
	for after := ""; ; {
		links, next, err := d.Cases.Reports(ctx, caseID, after, 100)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if l.Person && !seen[l.Reporter] && len(out) < n {
				out = append(out, l.Report)
				seen[l.Reporter] = true
			}
		}
		if after = next; next == "" || len(out) >= n {
			return out, nil
		}
	}
}

// prepared writes the result that is due soon, as it would be by what is known now.
func (d *Desk) prepared(ctx context.Context, c cases.Case) error {
	reports, err := d.people(ctx, c.ID, maxDrafts)
	if err != nil {
		return err
	}
	kind := letter.Rejected
	if k, ok := results(c.State); ok {
		kind = k
	} else if c.Grade >= 2 || c.Kind == cases.External {
		kind = letter.Result
	}
	for _, r := range reports {
		p, err := d.Party(ctx, r)
		if err != nil {
			return err
		}
		if WhyNot(p, d.Own).Code != "" {
			continue
		}
		if _, err := d.draft(ctx, c, r, "", kind, "", "due "+strconv.Itoa(c.Reopened)); err != nil {
			return err
		}
	}
	return nil
}

// overtaken discards the drafts of results that a program made: the case has one now.
func (d *Desk) overtaken(ctx context.Context, c cases.Case, to flow.State) error {
	reports, err := d.people(ctx, c.ID, maxDrafts)
	if err != nil {
		return err
	}
	for _, r := range reports {
		for _, kind := range []letter.Kind{letter.Result, letter.Rejected, letter.NotOurs} {
			_, err := d.change(ctx, hashed("draft", c.ID, r, string(kind), "due "+strconv.Itoa(c.Reopened)), func(n *Notice) error {
				if n.By != "" { // a person works on it
					return entity.ErrUnchanged
				}
				n.stop(Discarded, said.Say("barred.case-became", "the case became %s", "state", to))
				return nil
			})
			if err != nil && !gone(err) {
				return err
			}
		}
	}
	return nil
}

// change changes a draft that nobody sent or discarded.
func (d *Desk) change(ctx context.Context, id string, f func(n *Notice) error) (Notice, error) {
	row, err := d.table().Change(ctx, id, func(n *Notice) error {
		if n.State != Drafted {
			return said.Errorf("notice.it-is", "%w: it is %s", "kind", ErrNoDraft, "state", n.State)
		}
		return f(n)
	})
	return row.Value, err
}

// Edit changes the words of a draft; an empty one leaves what is there.
func (d *Desk) Edit(ctx context.Context, who cases.Actor, id, subject, body string) (Notice, error) {
	n, err := d.Get(ctx, id)
	if err != nil {
		return n, err
	}
	c, err := d.Cases.Get(ctx, n.Case)
	if err != nil {
		return n, err
	}
	return d.change(ctx, id, func(n *Notice) error {
		t := letter.Text{Subject: n.Subject, Body: n.Body}
		if subject != "" {
			t.Subject = subject
		}
		if body != "" {
			t.Body = body
		}
		if err := fit(c, t); err != nil {
			return err
		}
		n.say(c, t)
		n.By = who.Name
		return nil
	})
}

// Send hands a draft out, as an answer to the reporter or as the result of the case. Errors:
// ErrBarred, ErrNoDraft, letter.ErrLetter.
func (d *Desk) Send(ctx context.Context, who cases.Actor, id string, result bool) (Notice, error) {
	n, err := d.Get(ctx, id)
	if err != nil {
		return n, err
	}
	c, err := d.Cases.Get(ctx, n.Case)
	if err != nil {
		return n, err
	}
	p, err := d.Party(ctx, n.Report)
	if err != nil {
		return n, err
	}
	if why := WhyNot(p, d.Own); why.Code != "" {
		return n, said.Errorf("detail", "%w: %s", "kind", ErrBarred, "what", why)
	}
	if p.To != n.To {
		return n, said.Errorf("notice.the-reporter-is-not-any-more", "%w: the reporter is not %s any more", "kind", ErrBarred, "to", n.To)
	}
	n, err = d.change(ctx, id, func(n *Notice) error {
		if err := fit(c, letter.Text{Subject: n.Subject, Body: n.Body}); err != nil {
			return err
		}
		if strings.Contains(n.Body, "…\n") && n.Kind == letter.NeedInfo {
			return said.Errorf("notice.it-does-not-say-yet-what-is", "%w: it does not say yet what is needed", "kind", letter.ErrLetter)
		}
		n.State, n.By, n.At, n.Tells, n.MessageID = Queued, who.Name, d.Now().UTC(), tells(result), d.messageID(n.ID)
		return nil
	})
	if err != nil {
		return n, err
	}
	return d.hand(ctx, n)
}

// Discard gives a draft up.
func (d *Desk) Discard(ctx context.Context, who cases.Actor, id, why string) (Notice, error) {
	n, err := d.change(ctx, id, func(n *Notice) error {
		n.By = who.Name
		n.stop(Discarded, said.Typed(why[:min(len(why), 300)]))
		return nil
	})
	if err != nil {
		return n, err
	}
	return n, d.Audit(ctx, who.Name, "notice-discard", n.Case, nil, map[string]string{"notice": n.ID, "kind": string(n.Kind)}, why)
}

// byHand is the letter by which a person told a reporter the same result already.
func (d *Desk) byHand(ctx context.Context, c cases.Case, to string, kind letter.Kind) (Notice, bool, error) {
	rows, _, err := d.table().Find(ctx, entity.Query{Index: "told", Value: told(c.ID, to, c.Reopened), Limit: 20})
	for _, r := range rows {
		if r.Value.Kind == kind || r.Value.Kind == Own {
			return r.Value, true, err
		}
	}
	return Notice{}, false, err
}

func told(caseID, to string, round int) string { return hashed(caseID, to, strconv.Itoa(round)) }
