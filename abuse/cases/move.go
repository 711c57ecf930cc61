package cases

import (
	"context"
	"io"
	"net/netip"
	"slices"
	"strings"

	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/said"
)

// Move brings a case into another state.
func (d *Desk) Move(ctx context.Context, who Actor, id string, r Request) (Case, error) {
	if err := dossier.Why(who, r.Why()); err != nil {
		return Case{}, err
	}
	if r.To == flow.Reopened {
		return d.reopen(ctx, id, who, r.Why(), "")
	}
	links, err := d.evidenceOf(ctx, id, r.To)
	if err != nil {
		return Case{}, err
	}
	return d.change(ctx, id, who, "state", func(c *Case, e *Event) error {
		if err := c.Allowed(who, r); err != nil {
			return err
		}
		e.Data = r.Data()
		e.Tell(r.Why())
		r.Write(c)
		if def, _ := flow.Of(r.To); def.Proven && len(c.Seals) == 0 {
			if err := d.seal(ctx, c, who, links); err != nil {
				return err
			}
		}
		if r.To == flow.ResultSent {
			c.SetResult(r.Notice, r.Barred, e.At)
		}
		return c.Enter(r.To, who, e.At, d.calendar(c))
	})
}

// Result notes that the result was sent, or why it is not; a case that waited only for that
// goes on to RESULT_SENT.
func (d *Desk) Result(ctx context.Context, who Actor, id, notice string, barred said.Words) (Case, error) {
	if notice == "" && strings.TrimSpace(barred.English) == "" {
		return Case{}, dossier.Refuse(dossier.ErrNeeds, "case.name-the-notice-or-say-why-none", "name the notice, or say why none is sent")
	}
	return d.change(ctx, id, who, "result", func(c *Case, e *Event) error {
		if notice != "" && who.Role != flow.System && !c.First("result "+notice) {
			return entity.ErrUnchanged
		}
		e.Data = Request{Notice: notice, Barred: barred.English}.Data()
		e.Tell(barred)
		c.SetResult(notice, barred.English, e.At)
		if _, ok, _ := flow.Find(c.Kind == External, c.State, flow.ResultSent, who.Role); ok && c.MergedInto == "" {
			return c.Enter(flow.ResultSent, who, e.At, d.calendar(c))
		}
		c.Stop(flow.Result, e.At)
		return c.NeverIdle(e.At, d.calendar(c))
	})
}

// Acknowledged notes that the reporter was told of the report's arrival, or why not. It is no
// first answer: T_first goes on.
func (d *Desk) Acknowledged(ctx context.Context, who Actor, id, report string, note said.Words) (Case, error) {
	return d.change(ctx, id, who, "ack", func(c *Case, e *Event) error {
		e.Report = report
		e.Tell(note)
		if c.Acked.IsZero() {
			c.Acked = e.At
		}
		c.Stop(flow.Ack, e.At)
		return nil
	})
}

// Answered notes a person's answer to the reporter: it counts as the first one.
func (d *Desk) Answered(ctx context.Context, who Actor, id, notice string) (Case, error) {
	if who.Role == flow.System {
		return Case{}, dossier.Refuse(dossier.ErrRole, "case.an-automatic-answer-is-no-first-answer", "an automatic answer is no first answer")
	}
	return d.change(ctx, id, who, "answer", func(c *Case, e *Event) error {
		if notice != "" && !c.First("answer "+notice) {
			return entity.ErrUnchanged
		}
		e.Data = map[string]string{"notice": notice}
		c.Decide(who.Name, e.At)
		return c.NeverIdle(e.At, d.calendar(c))
	})
}

// Reopen takes a case up again that was done with, for a reason or an appeal.
func (d *Desk) Reopen(ctx context.Context, who Actor, id, why, appeal string) (Case, error) {
	if err := dossier.Reason(who, why); err != nil {
		return Case{}, err
	}
	return d.reopen(ctx, id, who, said.Typed(why), appeal)
}

func (d *Desk) reopen(ctx context.Context, id string, who Actor, why said.Words, appeal string) (Case, error) {
	return d.change(ctx, id, who, "reopen", func(c *Case, e *Event) error {
		if c.State == flow.Reopened {
			return entity.ErrUnchanged
		}
		if err := c.Allowed(who, Request{To: flow.Reopened}); err != nil {
			return err
		}
		e.Tell(why)
		if appeal != "" {
			e.Data = map[string]string{"appeal": dossier.Clip(appeal)}
		}
		return c.Enter(flow.Reopened, who, e.At, d.calendar(c))
	})
}

// AddEvidence ties bytes that the home keeps already to a case. Nothing takes them off again.
func (d *Desk) AddEvidence(ctx context.Context, who Actor, id string, v Evidence) (Case, error) {
	size, err := d.sizeOf(ctx, v.Class, v.Sum)
	if err != nil {
		return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.the-evidence-is-not-kept-in-the", "the evidence %.64q is not kept in the class %q: %v", "sum", v.Sum, "class", v.Class, "why", err)
	}
	return d.change(ctx, id, who, "evidence", func(c *Case, e *Event) error {
		if c.Has(v.Sum) {
			return entity.ErrUnchanged
		}
		if len(c.Evidence) >= dossier.MaxEvidence {
			return dossier.Refuse(dossier.ErrInvalid, "case.a-case-has-at-most-pieces-of", "a case has at most %d pieces of evidence", "most", dossier.MaxEvidence)
		}
		v.Size, v.Name, v.By, v.At = size, dossier.Clip(v.Name), who.Name, e.At
		c.Evidence = append(c.Evidence, v)
		e.Text, e.Data = v.Name, map[string]string{"sha256": v.Sum, "class": string(v.Class)}
		return nil
	})
}

// sizeOf reads a blob to its end, which verifies it.
func (d *Desk) sizeOf(ctx context.Context, class entity.Class, sum string) (int64, error) {
	r, err := d.Entities.Blob(ctx, class, sum)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return io.Copy(io.Discard, r)
}

// SetSource notes where the mail came from, as an agent found it.
func (d *Desk) SetSource(ctx context.Context, who Actor, id string, s Source, why said.Words) (Case, error) {
	if err := dossier.Why(who, why); err != nil {
		return Case{}, err
	}
	return d.change(ctx, id, who, "source", func(c *Case, e *Event) error {
		if len(c.Seals) > 0 {
			return dossier.Refuse(dossier.ErrState, "case.is-sealed-its-source-stands", "%s is sealed: its source stands", "id", id)
		}
		s.Helo, s.Domain, s.Time = dossier.Clip(s.Helo), strings.ToLower(s.Domain), s.Time.UTC()
		c.Source = s
		e.Tell(why)
		e.Data = map[string]string{"source": netip.AddrPortFrom(s.IP, s.Port).String(), "domain": s.Domain}
		return nil
	})
}

// SetCategories names the classes of spam that a case belongs to.
func (d *Desk) SetCategories(ctx context.Context, who Actor, id string, all []Category) (Case, error) {
	all = slices.Compact(slices.Sorted(slices.Values(all)))
	for _, c := range all {
		if c < dossier.Unsolicited || c > dossier.Illegal || len(c) != 2 {
			return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.is-no-category-they-are-s1-to", "%.20q is no category; they are S1 to S5", "c", c)
		}
	}
	return d.change(ctx, id, who, "category", func(c *Case, _ *Event) error {
		if slices.Equal(c.Categories, all) {
			return entity.ErrUnchanged
		}
		c.Categories = all
		return nil
	})
}

// SetPriority gives a case its priority, 1 to 4 for U1 to U4.
func (d *Desk) SetPriority(ctx context.Context, who Actor, id string, priority int, why said.Words) (Case, error) {
	if err := dossier.Why(who, why); err != nil {
		return Case{}, err
	}
	if priority < 1 || priority > 4 {
		return Case{}, dossier.Refuse(dossier.ErrInvalid, "case.u-is-no-priority-they-are-u1", "U%d is no priority; they are U1 to U4", "priority", priority)
	}
	return d.change(ctx, id, who, "priority", func(c *Case, e *Event) error {
		if c.Priority == priority {
			return entity.ErrUnchanged
		}
		e.Tell(why)
		return c.Raise(priority, e.At, d.calendar(c))
	})
}
