package learning

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"slices"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/filter/bayes"
	"postern/filter/bayes/train"
	"postern/internal/address"
	"postern/internal/config/value"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/internal/people"
	"postern/quarantine"
)

// wrap has the calls that release and delete held mail teach.
func (l *Learning) wrap(s *control.Server, held Held) {
	for name, teaches := range map[string]func() (bayes.Class, string){
		"quarantine.release": l.release, "recipient.release": l.release, "recipient.allow": l.release,
		"quarantine.delete": l.remove, "recipient.delete": l.remove,
	} {
		s.Wrap(name, func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
			class, whose := teaches()
			after := l.before(ctx, held, raw, class, whose)
			out, err := next(ctx)
			if err == nil && after != nil {
				after(context.WithoutCancel(ctx))
			}
			return out, err
		})
	}
}

func (l *Learning) release() (bayes.Class, string) {
	return bayes.Ham, l.parts.Config.Load().Learning.Release
}

func (l *Learning) remove() (bayes.Class, string) {
	return bayes.Spam, l.parts.Config.Load().Learning.Delete
}

// before reads a held message, which is gone after what is done with it, and returns what learns
// it then; nil: it teaches nothing. What goes wrong here changes nothing of what is done.
func (l *Learning) before(ctx context.Context, held Held, raw json.RawMessage, class bayes.Class, whose string) func(context.Context) {
	recipient := false
	if who, ok := people.From(ctx); ok {
		recipient = who.Role == people.Recipient || len(who.Addresses)+len(who.Domains) > 0 // sees a part alone
	}
	var p struct{ ID string }
	if whose == value.LearnNone || whose == value.LearnDesk && recipient || json.Unmarshal(raw, &p) != nil {
		return nil
	}
	h, err := held.Show(ctx, p.ID)
	if err != nil || !teaches(h) {
		return nil
	}
	body, err := read(ctx, held, h.ID)
	if err != nil {
		l.parts.Log.Warn("a held message could not be learned", "hold", h.ID, "error", err)
		return nil
	}
	act := train.Act{By: control.Actor(ctx), Via: train.ViaRelease, Scope: l.scopeOf(h.To)}
	if recipient {
		act.Via = train.ViaRecipient
	} else if class == bayes.Spam {
		act.Via = train.ViaDelete
	}
	return func(ctx context.Context) {
		if now, err := held.Show(ctx, h.ID); err != nil || !did(now, class) {
			return
		}
		l.said(ctx, train.Item{Tree: mime.Bytes(body, mime.DefaultLimits()), Class: class, Ref: h.ID}, act)
	}
}

// teaches reports whether what people do with a hold says what its words are like: it came in, and
// was held for what it says, not for a virus or a measure.
func teaches(h quarantine.Hold) bool {
	return h.Direction == filter.Inbound.String() && h.State.Open() && (h.Class == quarantine.ByVerdict || h.Class == quarantine.RejectedBeside) && !h.Unsafe() && h.Size <= MaxMessage
}

// did reports whether it was done. What the server behind does not take now was wanted all the
// same; a release that is refused for good, as one in which a virus is found, says nothing.
func did(h quarantine.Hold, class bayes.Class) bool {
	if class == bayes.Spam {
		return h.State == quarantine.Deleted
	}
	return h.State == quarantine.Released || h.State == quarantine.Releasing
}

// scopeOf is the domain that learns for itself, if all recipients are in one.
func (l *Learning) scopeOf(to []string) string {
	scope := ""
	for i, a := range to {
		domain := address.DomainOf(a)
		if !slices.Contains(l.parts.Config.Load().Learning.Domains, domain) || i > 0 && domain != scope {
			return ""
		}
		scope = domain
	}
	return scope
}

// said learns what somebody said by what they did. A fault is logged: what they did is done.
func (l *Learning) said(ctx context.Context, item train.Item, act train.Act) {
	var err error
	if act.Run, err = filter.NewID(l.parts.Now(), rand.Reader); err == nil {
		if act.Via == train.ViaAuto { // the audit is of what people do; the journal has it
			_, err = l.trainer.Learn(ctx, []train.Item{item}, act)
		} else {
			_, err = l.learn(ctx, []train.Item{item}, act, item.Class.String())
		}
	}
	if err != nil {
		l.parts.Log.Warn("a message could not be learned", "ref", item.Ref, "error", err)
	}
}

// Reported learns a message that one of our people handed in, and of which it is proved that it
// came in here, as spam.
func (l *Learning) Reported(ctx context.Context, reporter, report string, original []byte) {
	c := l.parts.Config.Load()
	if _, ours := glue.RouteFor(c, address.DomainOf(reporter)); !ours || !c.Learning.Report || len(original) > MaxMessage {
		return
	}
	tree := mime.Bytes(crlf(original), mime.DefaultLimits())
	l.said(ctx, train.Item{Tree: tree, Class: bayes.Spam, Ref: report}, train.Act{By: reporter, Via: train.ViaReport, Scope: l.scopeOf([]string{reporter})})
}
