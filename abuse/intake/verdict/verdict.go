// Package verdict keeps what people found of reports: it is how reporters become known, or
// are believed no longer.
package verdict

import (
	"context"
	"errors"
	"strings"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/internal/entity"
	"postern/internal/said"
)

// Verdict is what somebody found of a report.
type Verdict string

// The verdicts.
const (
	Right   Verdict = "right"
	Wrong   Verdict = "wrong"
	Abusive Verdict = "abusive" // reported against better knowledge
)

// A known reporter has had this many complaints found right, and at most a tenth wrong.
const (
	KnownRight = 5
	judgedMost = 1000 // judgements that are counted
)

// Links are the reports of cases; *cases.Desk has them.
type Links interface {
	Reports(ctx context.Context, id, after string, limit int) ([]cases.Link, string, error)
	Merged(ctx context.Context, id string) ([]cases.Case, error)
}

// Book keeps the verdicts.
type Book struct {
	Store entity.Store
	Cases Links
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Trust is how far the verdicts let somebody be believed who is proved to have written: T2
// when the reports before were right, T0 when one of them was a lie.
func (b Book) Trust(ctx context.Context, address string) (proof.Trust, error) {
	abusive, err := b.count(ctx, Abusive, address)
	if err != nil || abusive > 0 {
		return proof.T0, err
	}
	right, err := b.count(ctx, Right, address)
	if err != nil || right < KnownRight {
		return proof.T1, err
	}
	wrong, err := b.count(ctx, Wrong, address)
	if err != nil || wrong*10 > right+wrong {
		return proof.T1, err
	}
	return proof.T2, nil
}

func (b Book) count(ctx context.Context, v Verdict, address string) (int, error) {
	return shelf.Works(b.Store).Count(ctx, entity.Query{Index: "judged", Value: string(v) + " " + shelf.Value(address)}, judgedMost)
}

// Judge notes what a person found of a report; "" takes the verdict back. Errors:
// entity.ErrInvalid, entity.ErrNotFound.
func (b Book) Judge(ctx context.Context, who, report string, v Verdict, why string) (shelf.Work, error) {
	if v != "" && v != Right && v != Wrong && v != Abusive {
		return shelf.Work{}, said.Errorf("intake.verdict-is-right-wrong-or-abusive", "verdict %.20q is right, wrong or abusive: %w", "v", v, "kind", entity.ErrInvalid)
	}
	if v == Abusive && strings.TrimSpace(why) == "" {
		return shelf.Work{}, said.Errorf("intake.a-reporter-is-not-called-a-liar", "a reporter is not called a liar without a reason: %w", "kind", entity.ErrInvalid)
	}
	return b.write(ctx, who, report, v, "", why)
}

// write notes a verdict; with is the case whose state said it, "" for one by hand.
func (b Book) write(ctx context.Context, who, report string, v Verdict, with, why string) (shelf.Work, error) {
	before, changed := "", false
	row, err := shelf.Works(b.Store).Change(ctx, report, func(w *shelf.Work) error {
		changed = false
		if w.Judged == string(v) && w.JudgedWith == with {
			return entity.ErrUnchanged
		}
		before, changed = w.Judged, true
		w.Judged, w.JudgedBy, w.JudgedWith = string(v), who, with
		if v == "" {
			w.JudgedBy = ""
		}
		return nil
	})
	if err != nil || !changed {
		return row.Value, err
	}
	return row.Value, b.Audit(ctx, who, "complaint-judge", report, before, string(v), why)
}

// of is what a person who brings a case into a state says of its reports.
func of(c cases.Case, to flow.State) Verdict {
	switch to {
	case flow.Verified, flow.Warned, flow.Suspended, flow.Confirmed:
		return Right
	case flow.Rejected:
		return Wrong
	case flow.Released:
		if c.NoAbuse {
			return Wrong
		}
	}
	return ""
}

// Follow implements cases.Follower: what a person decides of a case is said of its reports,
// one of each reporter. What was judged by hand stays.
func (b Book) Follow(ctx context.Context, c cases.Case, e cases.Event) error {
	v := of(c, e.To)
	if v == "" || c.Drill || e.Actor == cases.Machine().Name {
		return nil
	}
	all := []string{c.ID}
	merged, err := b.Cases.Merged(ctx, c.ID)
	if err != nil {
		return err
	}
	for _, m := range merged {
		all = append(all, m.ID)
	}
	chosen, err := b.choose(ctx, all, c.ID)
	if err != nil {
		return err
	}
	for _, report := range chosen {
		_, err := b.write(ctx, e.Actor, report, v, c.ID, "with "+c.ID+", "+string(e.To))
		if err != nil && !errors.Is(err, entity.ErrNotFound) { // swept meanwhile
			return err
		}
	}
	return nil
}

// reportsMost bounds how many reports of a case are looked at.
const reportsMost = 1000

// choose takes one report of each reporter who is proved: whoever reports the same twenty
// times was right once. Nobody is chosen of whom a person has judged a report of the case.
func (b Book) choose(ctx context.Context, ids []string, with string) (map[string]string, error) {
	out, byHand, n := map[string]string{}, map[string]bool{}, 0
	for _, id := range ids {
		for after := ""; n < reportsMost; {
			links, next, err := b.Cases.Reports(ctx, id, after, 100)
			if err != nil {
				return nil, err
			}
			n += len(links)
			for _, l := range links {
				if err := b.weigh(ctx, l, with, out, byHand); err != nil {
					return nil, err
				}
			}
			if after = next; next == "" {
				break
			}
		}
	}
	for who := range byHand {
		delete(out, who)
	}
	return out, nil
}

func (b Book) weigh(ctx context.Context, l cases.Link, with string, out map[string]string, byHand map[string]bool) error {
	if l.Trust < int(proof.T1) || l.Feed || l.Fold != "" || !strings.Contains(l.Reporter, "@") {
		return nil
	}
	report, _, _ := strings.Cut(l.Report, ".") // of several messages in one report
	row, err := shelf.Works(b.Store).Get(ctx, report)
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	switch w := row.Value; {
	case w.Judged != "" && w.JudgedWith == "":
		byHand[l.Reporter] = true
	case w.JudgedWith == with || w.JudgedWith == "" && out[l.Reporter] == "":
		out[l.Reporter] = report
	}
	return nil
}
