// Package second keeps what one person asked for and another has to approve before it is done.
package second

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// Kind is the kind of the records.
const Kind entity.Kind = "approval"

// Bounds of a proposal.
const (
	For       = 72 * time.Hour // then it is not approved any more
	MaxReason = 1000           // octets
	MaxParams = 64 << 10       // octets
)

// State says how far a proposal has come.
type State string

// The states.
const (
	Open      State = "open"
	Approved  State = "approved" // and done, or to be done once more where Failure says why it was not
	Refused   State = "refused"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
)

// Errors of a Book. They are wrapped: use errors.Is.
var (
	ErrInvalid = said.New("second.this-cannot-be-proposed", "this cannot be proposed")
	ErrSecond  = said.New("second.this-needs-a-second-person", "this needs a second person")
	ErrOver    = said.New("second.this-waits-for-nobody-any-more", "this waits for nobody any more")
)

// Person is who proposes or decides.
type Person struct {
	Name string
	User bool // a user of the desk, who has signed in; else whoever has the machine
	Lead bool // may approve
}

// Proposal is one act that waits.
type Proposal struct {
	ID      string          `json:"id"`
	Act     string          `json:"act"`           // measure, case-end
	Object  string          `json:"object"`        // account, @domain or case
	Words   string          `json:"words"`         // what would be done
	Said    said.Words      `json:"said,omitzero"` // Words by their code
	Params  json.RawMessage `json:"params,omitempty"`
	By      string          `json:"by"`
	Reason  string          `json:"reason"`
	Because said.Words      `json:"because,omitzero"` // Reason by its code, where no person gave it
	At      time.Time       `json:"at"`
	Until   time.Time       `json:"until"`
	State   State           `json:"state"`
	Decided *Decision       `json:"decided,omitempty"`
	Failure string          `json:"failure,omitempty"`
	Done    bool            `json:"done,omitempty"`
}

// Decision is how a proposal ended.
type Decision struct {
	By     string     `json:"by"`
	At     time.Time  `json:"at"`
	Reason string     `json:"reason,omitempty"`
	Said   said.Words `json:"said,omitzero"`         // Reason by its code, where no person gave it
	Glass  bool       `json:"break_glass,omitempty"` // nobody else approved it
}

// Book keeps the proposals.
type Book struct {
	Store entity.Store
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Alert func(key, text string, over bool)
	// Do does what was approved; the same proposal may come again after a crash.
	Do func(ctx context.Context, p Proposal) error
	// Dropped is told of what is not done.
	Dropped func(ctx context.Context, p Proposal) error
	// Moot says how an open proposal ended whose object was decided without it; nil while it
	// waits. Its state is Refused or Withdrawn.
	Moot func(ctx context.Context, p Proposal) (*End, error)
}

// End is how a proposal ends without having been decided itself.
type End struct {
	State  State
	By     string
	Reason said.Words
}

func (b *Book) table() entity.Table[Proposal] {
	return entity.Table[Proposal]{Store: b.Store, Kind: Kind, ID: func(p *Proposal) string { return p.ID }, Keys: func(p *Proposal) []entity.Key {
		at := p.At.UnixMilli()
		return []entity.Key{{Index: "all", At: at}, {Index: "state", Value: string(p.State), At: at}}
	}}
}

// Propose writes down what a person asks for: Said and Because come whole, where they are not
// typed. The same again, while it waits, is the same proposal.
func (b *Book) Propose(ctx context.Context, who Person, p Proposal) (Proposal, error) {
	if p.Said.English != "" {
		p.Said.Put(&p.Words, &p.Said)
	}
	if p.Because.English != "" {
		p.Because.Put(&p.Reason, &p.Because)
	}
	switch {
	case strings.TrimSpace(p.Reason) == "" || len(p.Reason) > MaxReason:
		return p, said.Errorf("second.a-reason-of-at-most-octets-is", "%w: a reason of at most %d octets is needed", "kind", ErrInvalid, "most", MaxReason)
	case p.Act == "" || p.Object == "" || len(p.Object) > 400 || len(p.Params) > MaxParams:
		return p, said.Errorf("second.it-has-no-object-or-more-than", "%w: it has no object, or more than %d octets", "kind", ErrInvalid, "most", MaxParams)
	}
	now := b.Now().UTC()
	p.By, p.At, p.Until, p.State = who.Name, now, now.Add(For), Open
	open, err := b.List(ctx, Open, "", entity.MaxPage)
	if err != nil {
		return p, err
	}
	for _, o := range open.Proposals {
		if o.Act == p.Act && o.Object == p.Object && o.By == p.By && string(o.Params) == string(p.Params) && now.Before(o.Until) {
			return o, nil
		}
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%s|%d", p.Act, p.Object, p.By, p.Params, now.UnixNano()))
	p.ID = "p-" + hex.EncodeToString(sum[:8])
	if _, err := b.table().Create(ctx, p); err != nil {
		return p, err
	}
	b.Alert("approval-"+p.ID, fmt.Sprintf("%s: %s asks for %s (%s); another person approves or refuses it until %s", p.ID, p.By, p.Words, p.Reason, p.Until.Format(time.RFC3339)), false)
	return p, b.Audit(ctx, p.By, "approval-propose", p.Object, nil, p, p.Reason)
}

// Page is a part of the proposals, the youngest first.
type Page struct {
	Proposals []Proposal `json:"proposals"`
	Next      string     `json:"next,omitempty"`
}

// List returns a page: of a state, or all with "".
func (b *Book) List(ctx context.Context, state State, after string, limit int) (Page, error) {
	q := entity.Query{Index: "all", After: after, Limit: limit}
	if state != "" {
		q.Index, q.Value = "state", string(state)
	}
	rows, next, err := b.table().Find(ctx, q)
	out := Page{Proposals: []Proposal{}, Next: next}
	for _, r := range rows {
		out.Proposals = append(out.Proposals, r.Value)
	}
	return out, err
}

// Get returns a proposal, or entity.ErrNotFound.
func (b *Book) Get(ctx context.Context, id string) (Proposal, error) {
	row, err := b.table().Get(ctx, id)
	return row.Value, err
}

// Second returns the name under which who may be the second person beside proposer. Whoever
// merely has the machine is no second person, but may break the glass by saying why: that is
// written down and raises an alert.
func (b *Book) Second(ctx context.Context, who Person, proposer, what, object, glass string) (string, error) {
	switch {
	case glass != "" && who.User:
		return "", said.Errorf("second.the-glass-is-broken-on-the-machine", "%w: the glass is broken on the machine itself, without a user", "kind", ErrSecond)
	case glass != "":
		if len(glass) > MaxReason {
			return "", said.Errorf("second.a-reason-has-at-most-octets", "%w: a reason has at most %d octets", "kind", ErrInvalid, "most", MaxReason)
		}
		b.Alert("break-glass-"+what+"-"+object, fmt.Sprintf("%s did alone what needs two persons: %s, %s: %s", who.Name, what, object, glass), false)
		return "break-glass by " + who.Name, b.Audit(ctx, who.Name, "break-glass", object, nil, map[string]string{"act": what, "proposer": proposer}, glass)
	case !who.User:
		return "", said.Errorf("second.is-no-user-of-the-desk-sign", "%w: %s is no user of the desk; sign in with a token, be mapped by user change --unix, or break the glass", "kind", ErrSecond, "name", who.Name)
	case !who.Lead:
		return "", said.Errorf("second.may-not-approve", "%w: %s may not approve", "kind", ErrSecond, "name", who.Name)
	case who.Name == proposer:
		return "", said.Errorf("second.has-proposed-it", "%w: %s has proposed it", "kind", ErrSecond, "proposer", proposer)
	}
	return who.Name, nil
}

// Approve lets a second person have done what the first one asked for.
func (b *Book) Approve(ctx context.Context, who Person, id, reason, glass string) (Proposal, error) {
	p, err := b.Get(ctx, id)
	if err != nil {
		return p, err
	}
	if err := p.waits(b.Now(), true); err != nil {
		return p, err
	}
	name, err := b.Second(ctx, who, p.By, p.Words, p.Object, glass)
	if err != nil {
		return p, err
	}
	row, err := b.table().Change(ctx, id, func(p *Proposal) error {
		if err := p.waits(b.Now(), true); err != nil {
			return err
		}
		p.State, p.Failure = Approved, ""
		if p.Decided == nil {
			p.Decided = &Decision{By: name, At: b.Now().UTC(), Reason: reason, Glass: glass != ""}
		}
		return nil
	})
	if err != nil {
		return row.Value, err
	}
	p = row.Value
	if err := b.Audit(ctx, who.Name, "approval-approve", p.Object, nil, p, reason); err != nil {
		return p, err
	}
	failed := b.Do(ctx, p)
	row, err = b.table().Change(ctx, id, func(p *Proposal) error {
		p.Done, p.Failure = failed == nil, ""
		if failed != nil {
			p.Failure = failed.Error()[:min(len(failed.Error()), 300)]
		}
		return nil
	})
	if failed == nil {
		b.Alert("approval-"+id, "", true)
	}
	return row.Value, errors.Join(failed, err)
}

// waits says why a proposal cannot be decided, or nil. What was approved and could not be done
// is done by approving it again.
func (p *Proposal) waits(now time.Time, approve bool) error {
	switch {
	case p.State == Approved && !p.Done && approve:
		return nil
	case p.State != Open:
		return said.Errorf("second.is", "%w: %s is %s", "kind", ErrOver, "id", p.ID, "state", p.State)
	case !now.Before(p.Until):
		return said.Errorf("second.has-expired-at", "%w: %s has expired at %s", "kind", ErrOver, "id", p.ID, "until", p.Until.Format(time.RFC3339))
	}
	return nil
}

// Refuse ends a proposal; who made it withdraws it so.
func (b *Book) Refuse(ctx context.Context, who Person, id, reason string) (Proposal, error) {
	if strings.TrimSpace(reason) == "" || len(reason) > MaxReason {
		return Proposal{}, said.Errorf("second.a-reason-of-at-most-octets-is", "%w: a reason of at most %d octets is needed", "kind", ErrInvalid, "most", MaxReason)
	}
	p, err := b.Get(ctx, id)
	if err != nil {
		return p, err
	}
	to := Refused
	if p.By == who.Name {
		to = Withdrawn
	} else if who.User && !who.Lead {
		return p, said.Errorf("second.may-not-refuse-what-others-asked-for", "%w: %s may not refuse what others asked for", "kind", ErrSecond, "name", who.Name)
	}
	return b.end(ctx, who.Name, id, to, said.Typed(reason))
}

func (b *Book) end(ctx context.Context, actor, id string, to State, reason said.Words) (Proposal, error) {
	row, err := b.table().Change(ctx, id, func(p *Proposal) error {
		if p.State != Open {
			return said.Errorf("second.is", "%w: %s is %s", "kind", ErrOver, "id", p.ID, "state", p.State)
		}
		p.State, p.Decided = to, &Decision{By: actor, At: b.Now().UTC()}
		reason.Put(&p.Decided.Reason, &p.Decided.Said)
		return nil
	})
	p := row.Value
	if err != nil {
		return p, err
	}
	b.Alert("approval-"+id, "", true)
	errs := []error{b.Audit(ctx, actor, "approval-"+string(to), p.Object, nil, p, reason.English)}
	if b.Dropped != nil {
		errs = append(errs, b.Dropped(ctx, p))
	}
	return p, errors.Join(errs...)
}

// Look ends a proposal that waits although its object was decided without it.
func (b *Book) Look(ctx context.Context, id string) error {
	p, err := b.Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.tend(ctx, p)
}

// Tend lets expire what nobody decided in time, and ends what waits for nothing.
func (b *Book) Tend(ctx context.Context) error {
	var errs []error
	for after := ""; ; {
		open, err := b.List(ctx, Open, after, entity.MaxPage)
		errs = append(errs, err)
		for _, p := range open.Proposals {
			errs = append(errs, b.tend(ctx, p))
		}
		if after = open.Next; after == "" {
			return errors.Join(errs...)
		}
	}
}

func (b *Book) tend(ctx context.Context, p Proposal) error {
	if p.State != Open {
		return nil
	}
	var end *End
	if b.Moot != nil {
		var err error
		if end, err = b.Moot(ctx, p); err != nil {
			return err
		}
	}
	if end == nil && !b.Now().Before(p.Until) {
		end = &End{Expired, "abuse-desk", said.Say("second.nobody-decided", "nobody decided in time")}
	}
	if end == nil {
		return nil
	}
	_, err := b.end(ctx, end.By, p.ID, end.State, end.Reason.Map(func(s string) string { return s[:min(len(s), MaxReason)] }))
	if errors.Is(err, ErrOver) {
		return nil
	}
	return err
}
