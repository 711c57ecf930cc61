// Package guarantee keeps the written guarantees by which a suspended account comes back: the
// pack of three papers, its approval by a second person, the probation that follows, and what
// is kept of an account after its end.
package guarantee

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/address"
	"postern/internal/entity"
)

// Part is one of the papers of a pack.
type Part string

// The parts; a pack needs each.
const (
	Letter     Part = "letter"               // with seal and signature
	Suspension Part = "suspension statement" // what the account was suspended for
	Licence    Part = "licence copy"
)

// Parts are all parts.
func Parts() []Part { return []Part{Letter, Suspension, Licence} }

// Scope is what a guarantee covers.
type Scope string

// The scopes.
const (
	Mailbox Scope = "mailbox"
	Domain  Scope = "domain"
)

// Bounds of a pack.
const (
	MaxFile = 20 << 20 // octets of a paper
	MaxText = 300      // octets of a name, a contact, a telephone number
)

// State is where a pack stands.
type State string

// The states of a pack.
const (
	Draft    State = "draft"
	Waiting  State = "waiting" // complete, for a second person
	Approved State = "approved"
	Refused  State = "refused"
	Broken   State = "broken" // a strike: the probation was broken
	Kept     State = "kept"   // the probation went by
)

// File is one paper as it was handed in.
type File struct {
	Sum  string    `json:"sha256"`
	Size int64     `json:"size"`
	Name string    `json:"name"`
	By   string    `json:"by"`
	At   time.Time `json:"at"`
}

// Form is what the letter says.
type Form struct {
	Company string    `json:"company"`
	Scope   Scope     `json:"scope"`
	Covers  string    `json:"covers"` // the address or the domain
	Signer  string    `json:"signer"`
	Contact string    `json:"contact"` // an address to write to
	Phone   string    `json:"phone"`
	Date    time.Time `json:"date"` // on the letter
}

// Pack is one written guarantee.
type Pack struct {
	ID      string        `json:"id"`
	Case    string        `json:"case"`
	Account string        `json:"account"`
	State   State         `json:"state"`
	Form    Form          `json:"form"`
	Files   map[Part]File `json:"files"`

	Proposer   string    `json:"proposer"`
	Proposed   time.Time `json:"proposed"`
	Approver   string    `json:"approver,omitempty"`
	Decided    time.Time `json:"decided,omitzero"`
	Reason     string    `json:"reason,omitempty"`
	TrialUntil time.Time `json:"trial_until,omitzero"`
	Strike     int       `json:"strike,omitempty"` // which one it was, if broken
}

// Missing names what a pack lacks, in the order of the form; empty = it is complete.
func (p *Pack) Missing() []string {
	var out []string
	for _, part := range Parts() {
		if p.Files[part].Sum == "" {
			out = append(out, string(part))
		}
	}
	f := p.Form
	for _, field := range []struct {
		name string
		has  bool
	}{
		{"company", f.Company != ""}, {"scope", f.Scope == Mailbox || f.Scope == Domain}, {"covered address or domain", f.Covers != ""},
		{"signer", f.Signer != ""}, {"contact", f.Contact != ""}, {"phone", f.Phone != ""}, {"date", !f.Date.IsZero()},
	} {
		if !field.has {
			out = append(out, field.name)
		}
	}
	return out
}

// Trials hands the ramp of a probation to those who limit accounts; both calls may come twice.
type Trials interface {
	// Begin limits an account to the ramp's first step.
	Begin(ctx context.Context, r Ramp) error
	// End takes the ramp's limits off, or leaves them to a suspension.
	End(ctx context.Context, r Ramp, kept bool) error
}

// Ramp is how an account on probation may send: a share of its normal limits that doubles for
// every three days without a complaint that counts.
type Ramp struct {
	Pack, Case, Account string
	Scope               Scope
	Covers              string
	From, Until         time.Time
}

// The ramp.
const (
	firstShare = 20
	cleanDays  = 3 * 24 * time.Hour
)

// Share is what percentage of the normal limits an account may use: 20, then twice as much
// after each three clean days, 100 at most. lastHit is when the last vote or trap hit came.
func (r Ramp) Share(now, lastHit time.Time) int {
	if !now.Before(r.Until) {
		return 100
	}
	from := r.From
	if lastHit.After(from) {
		from = lastHit
	}
	share := firstShare
	for clean := now.Sub(from); clean >= cleanDays && share < 100; clean -= cleanDays {
		share *= 2
	}
	return min(share, 100)
}

// Office handles the packs.
type Office struct {
	Entities entity.Home
	Desk     *cases.Desk
	Trials   Trials // nil: nobody limits
	Now      func() time.Time
	Log      *slog.Logger
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
	// Offer tells a lead that a permanent end is permitted by the letter.
	Offer func(ctx context.Context, caseID, account string, strikes int)
}

func (o *Office) packs() entity.Table[Pack] {
	return entity.Table[Pack]{
		Store: o.Entities, Kind: "guarantee", ID: func(p *Pack) string { return p.ID },
		Keys: func(p *Pack) []entity.Key {
			at := p.Proposed.UnixMilli()
			keys := []entity.Key{
				{Index: "case", Value: p.Case, At: at}, {Index: "state", Value: string(p.State), At: at},
				{Index: "account", Value: value(p.Account), At: at}, {Index: "all", At: at},
			}
			for _, part := range Parts() {
				if f, ok := p.Files[part]; ok {
					keys = append(keys, entity.Key{Index: "paper", Value: f.Sum, At: at})
				}
			}
			return keys
		},
	}
}

func value(s string) string {
	s = strings.ToLower(strings.ToValidUTF8(s, "?"))
	if len(s) > entity.MaxValue {
		return "#" + dossier.Hashed(s)
	}
	return s
}

// Get returns a pack.
func (o *Office) Get(ctx context.Context, id string) (Pack, error) {
	row, err := o.packs().Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) || errors.Is(err, entity.ErrInvalid) {
		return Pack{}, dossier.Refuse(dossier.ErrNotFound, "guarantee.there-is-no-guarantee", "there is no guarantee %.40q", "id", id)
	}
	return row.Value, err
}

// Search asks for packs of a state, a case or an account, all with none of them.
type Search struct {
	State   State  `json:"state,omitempty"`
	Case    string `json:"case,omitempty"`
	Account string `json:"account,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

// List returns a page of packs, the youngest first.
func (o *Office) List(ctx context.Context, s Search) ([]Pack, string, error) {
	q := entity.Query{Index: "all", After: s.After, Limit: s.Limit}
	switch {
	case s.Case != "":
		q.Index, q.Value = "case", s.Case
	case s.Account != "":
		q.Index, q.Value = "account", value(s.Account)
	case s.State != "":
		q.Index, q.Value = "state", string(s.State)
	}
	rows, next, err := o.packs().Find(ctx, q)
	out := make([]Pack, 0, len(rows))
	for _, r := range rows {
		out = append(out, r.Value)
	}
	return out, next, err
}

// New begins the pack of a suspended case; it returns the one that is open already.
func (o *Office) New(ctx context.Context, who cases.Actor, caseID string, f Form) (Pack, error) {
	c, err := o.Desk.Get(ctx, caseID)
	if err != nil {
		return Pack{}, err
	}
	if c.State != flow.Suspended {
		return Pack{}, dossier.Refuse(dossier.ErrState, "guarantee.is-a-guarantee-is-for-a-suspended", "%s is %s; a guarantee is for a suspended account", "caseid", caseID, "state", c.State)
	}
	if f.Scope == Mailbox && f.Covers == "" {
		f.Covers = c.Account
	}
	if err := f.check(); err != nil {
		return Pack{}, err
	}
	// One pack for each time that the case was suspended: the number comes from it.
	p := Pack{
		ID: fmt.Sprintf("G-%s-%d", strings.TrimPrefix(caseID, "A-"), c.Since.UnixMilli()), Case: caseID, Account: c.Account, State: Draft,
		Form: f, Files: map[Part]File{}, Proposer: who.Name, Proposed: o.Now().UTC(),
	}
	for n := 0; ; n++ {
		if n > 0 {
			p.ID = fmt.Sprintf("G-%s-%d.%d", strings.TrimPrefix(caseID, "A-"), c.Since.UnixMilli(), n)
		}
		row, err := o.packs().Create(ctx, p)
		if !errors.Is(err, entity.ErrExists) {
			if err == nil {
				err = o.Audit(ctx, who.Name, "guarantee-new", p.ID, nil, row.Value, caseID)
			}
			return row.Value, err
		}
		old, err := o.Get(ctx, p.ID)
		if err != nil || old.State == Draft || old.State == Waiting {
			return old, err
		}
	}
}

func (f *Form) check() error {
	for name, text := range map[string]string{"company": f.Company, "covered address or domain": f.Covers, "signer": f.Signer, "contact": f.Contact, "phone": f.Phone} {
		if len(text) > MaxText {
			return dossier.Refuse(dossier.ErrInvalid, "guarantee.at-most-octets", "%s: at most %d octets", "name", name, "most", MaxText)
		}
	}
	switch f.Scope {
	case "":
	case Mailbox:
		if _, err := address.Parse(f.Covers, true); f.Covers != "" && err != nil {
			return dossier.Refuse(dossier.ErrInvalid, "guarantee.the-scope-is-a-mailbox-and-is", "the scope is a mailbox, and %.100q is none", "covers", f.Covers)
		}
	case Domain:
		if f.Covers != "" && !address.ValidDomain(f.Covers) {
			return dossier.Refuse(dossier.ErrInvalid, "guarantee.the-scope-is-a-domain-and-is", "the scope is a domain, and %.100q is none", "covers", f.Covers)
		}
	default:
		return dossier.Refuse(dossier.ErrInvalid, "guarantee.the-scope-is-mailbox-or-domain-not", "the scope is mailbox or domain, not %.40q", "scope", f.Scope)
	}
	return nil
}

// Fill writes what the letter says into a draft.
func (o *Office) Fill(ctx context.Context, who cases.Actor, id string, f Form) (Pack, error) {
	if err := f.check(); err != nil {
		return Pack{}, err
	}
	return o.change(ctx, who, "guarantee-fill", id, "", func(p *Pack) error {
		if p.State != Draft {
			return dossier.Refuse(dossier.ErrState, "guarantee.is-and-cannot-be-changed", "%s is %s and cannot be changed", "id", id, "state", p.State)
		}
		p.Form = f
		return nil
	})
}

// Upload keeps one of the papers.
func (o *Office) Upload(ctx context.Context, who cases.Actor, id string, part Part, name string, r io.Reader) (Pack, error) {
	if part != Letter && part != Suspension && part != Licence {
		return Pack{}, dossier.Refuse(dossier.ErrInvalid, "guarantee.is-no-part-they-are-letter-suspension", "%.40q is no part; they are letter, suspension statement and licence copy", "part", part)
	}
	if p, err := o.Get(ctx, id); err != nil || p.State != Draft {
		if err == nil {
			err = dossier.Refuse(dossier.ErrState, "guarantee.is-and-takes-no-papers", "%s is %s and takes no papers", "id", id, "state", p.State)
		}
		return p, err
	}
	limited := &io.LimitedReader{R: r, N: MaxFile + 1}
	sum, size, err := o.Entities.PutBlob(ctx, entity.Papers, limited)
	switch {
	case err != nil:
		return Pack{}, err
	case size > MaxFile:
		return Pack{}, errors.Join(dossier.Refuse(dossier.ErrInvalid, "guarantee.a-paper-has-at-most-octets", "a paper has at most %d octets", "most", MaxFile), o.Entities.RemoveBlob(ctx, entity.Papers, sum))
	case size == 0:
		return Pack{}, dossier.Refuse(dossier.ErrInvalid, "guarantee.the-is-empty", "the %s is empty", "part", part)
	}
	return o.change(ctx, who, "guarantee-upload", id, string(part)+" "+sum, func(p *Pack) error {
		if p.State != Draft {
			return dossier.Refuse(dossier.ErrState, "guarantee.is-and-takes-no-papers", "%s is %s and takes no papers", "id", id, "state", p.State)
		}
		if p.Files == nil {
			p.Files = map[Part]File{}
		}
		p.Files[part] = File{Sum: sum, Size: size, Name: dossier.Clip(name), By: who.Name, At: o.Now().UTC()}
		return nil
	})
}

// Paper is one of the papers, whose bytes are what they were. Who looked is written down.
func (o *Office) Paper(ctx context.Context, who cases.Actor, id string, part Part) (File, []byte, error) {
	p, err := o.Get(ctx, id)
	if err != nil {
		return File{}, nil, err
	}
	f, ok := p.Files[part]
	if !ok {
		return f, nil, dossier.Refuse(dossier.ErrNotFound, "guarantee.has-no", "%s has no %.40q", "id", id, "part", part)
	}
	r, err := o.Entities.Blob(ctx, entity.Papers, f.Sum)
	if errors.Is(err, entity.ErrNotFound) {
		return f, nil, dossier.Refuse(dossier.ErrNotFound, "guarantee.the-of-is-not-kept-any-more", "the %s of %s is not kept any more", "part", part, "id", id)
	}
	if err != nil {
		return f, nil, err
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, MaxFile))
	if err != nil {
		return f, nil, err
	}
	return f, body, o.Audit(ctx, who.Name, "guarantee-paper", id, nil, f, string(part))
}

// change writes a pack and its line in the audit trail.
func (o *Office) change(ctx context.Context, who cases.Actor, action, id, note string, f func(*Pack) error) (Pack, error) {
	before, err := o.Get(ctx, id)
	if err != nil {
		return before, err
	}
	changed := false
	row, err := o.packs().Change(ctx, id, func(p *Pack) error {
		err := f(p)
		changed = err == nil
		return err
	})
	if err != nil || !changed {
		return row.Value, err
	}
	return row.Value, o.Audit(ctx, who.Name, action, id, before, row.Value, note)
}
