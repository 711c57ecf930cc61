// Package within makes calls about cases, lists and opt-outs for somebody who sees what concerns
// their own domains alone.
package within

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"postern/cmd/postern/listcalls"
	"postern/internal/said"

	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/abuse/suppress"
	"postern/blocklist"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/suppresscalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/people"
)

// Call makes a call within the bounds of a principal.
type Call = func(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error)

// within makes calls by way of others.
type within struct{ calls control.Caller }

// Calls are those that can be made within bounds, by name.
func Calls(calls control.Caller) map[string]Call {
	w := within{calls}
	return map[string]Call{
		"case.list":        w.cases,
		"case.show":        w.oneCase,
		"suppress.list":    w.optOuts,
		"suppress.add":     w.optOut,
		"suppress.lift":    w.liftOptOut,
		"account.find":     w.accounts,
		"account.activity": w.account,
		"blocklist.list":   w.lists,
		"blocklist.add":    w.listAdd,
		"blocklist.remove": w.listRemove,
	}
}

func params[P any](raw json.RawMessage) (p P, err error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return p, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, control.Because(control.Invalid, err)
	}
	return p, nil
}

// ownView is a case as the admin of its account's domain sees it: what it is about and what was
// done, nothing of those who reported.
func ownView(c cases.Case) cases.Case {
	c.Sentence, c.Subject, c.Language, c.Evidence, c.Seals, c.Pending, c.Counting, c.Noted = "", "", "", nil, nil, nil, nil, nil
	c.ResultNote, c.Said = "", said.Words{}
	return c
}

func (w within) cases(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	s, err := params[cases.Search](raw)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.Domains, func(d string) bool { return !slices.Contains(p.Domains, d) }) {
		return nil, control.Refuse(control.NotFound, "within.not-all-of-are-yours", "not all of %v are yours", "domains", s.Domains)
	}
	if len(s.Domains) == 0 {
		s.Domains = p.Domains
	}
	if s.Text != "" { // what is not shown is not searched
		return nil, control.Refuse(control.Invalid, "within.a-domain-admin-searches-by-state-priority", "a domain admin searches by state, priority, category, grade and account")
	}
	var page casecalls.Page
	if err := w.calls.Call(ctx, "case.list", s, &page); err != nil {
		return nil, err
	}
	page.Cases = slices.DeleteFunc(page.Cases, func(c cases.Case) bool { return c.Account == "" || !p.Covers(c.Account) })
	for i := range page.Cases {
		page.Cases[i] = ownView(page.Cases[i])
	}
	return page, nil
}

func (w within) oneCase(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	q, err := params[casecalls.Paging](raw)
	if err != nil {
		return nil, err
	}
	var out casecalls.Shown
	if err := w.calls.Call(ctx, "case.show", q, &out); err != nil {
		return nil, err
	}
	if out.Case.Account == "" || !p.Covers(out.Case.Account) {
		return nil, control.Refuse(control.NotFound, "within.there-is-no-case", "there is no case %.40q", "id", q.ID)
	}
	out.Case, out.Moves, out.Total.Merged = ownView(out.Case), []flow.State{}, nil
	for i, e := range out.Timeline { // who reported, and what people wrote, stays with the desk
		out.Timeline[i] = dossier.Event{Case: e.Case, Seq: e.Seq, At: e.At, Action: e.Action, From: e.From, To: e.To}
	}
	return out, nil
}

func (w within) optOuts(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	q, err := params[suppress.Query](raw)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(q.Account, "@") || !p.Covers(q.Account) {
		return nil, control.Refuse(control.NotFound, "within.say-of-which-account-of-yours-is", "say of which account of yours: %q is none", "account", q.Account)
	}
	var page suppress.Page
	err = w.calls.Call(ctx, "suppress.list", q, &page)
	return page, err
}

func (w within) optOut(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	a, err := params[suppresscalls.Add](raw)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(a.Account, "@") || !p.Covers(a.Account) {
		return nil, control.Refuse(control.NotFound, "within.is-no-account-of-yours-2", "%q is no account of yours", "account", a.Account)
	}
	var out suppress.Entry
	err = w.calls.Call(ctx, "suppress.add", a, &out)
	return out, err
}

// liftOptOut looks whether the entry is of the account that the caller names.
func (w within) liftOptOut(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	l, err := params[suppresscalls.Lift](raw)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(l.Account, "@") || !p.Covers(l.Account) {
		return nil, control.Refuse(control.NotFound, "within.say-of-which-account-of-yours-it", "say of which account of yours it is: %q is none", "account", l.Account)
	}
	for q := (suppress.Query{Account: l.Account, Limit: entity.MaxPage}); ; {
		var page suppress.Page
		if err := w.calls.Call(ctx, "suppress.list", q, &page); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(page.Entries, func(e suppress.Entry) bool { return e.ID == l.ID && p.Covers(e.Account) }) {
			var out suppress.Entry
			err := w.calls.Call(ctx, "suppress.lift", l, &out)
			return out, err
		}
		if q.After = page.Next; q.After == "" {
			return nil, control.Refuse(control.NotFound, "within.has-no-such-entry", "%s has no such entry", "account", l.Account)
		}
	}
}

// scoped reports whether an entry of the own lists holds for the principal's alone.
func scoped(p people.Principal, scope string) bool {
	kind, of, ok := strings.Cut(scope, ":")
	return ok && (kind == "domain" || kind == "recipient") && p.Covers(of)
}

// lists asks for the entries alone that hold for the principal's mail.
func (w within) lists(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	ask, err := params[listcalls.Search](raw)
	if err != nil {
		return nil, err
	}
	for _, of := range ask.Within {
		if !p.Covers(of) {
			return nil, control.Refuse(control.NotFound, "within.is-not-yours", "%.60q is not yours", "d", of)
		}
	}
	if whose := slices.Concat(p.Domains, p.Addresses); len(ask.Within) == 0 {
		ask.Within = whose
	}
	if len(ask.Within) == 0 {
		return listcalls.Entries{Entries: []listcalls.Entry{}}, nil
	}
	var out listcalls.Entries
	if err := w.calls.Call(ctx, "blocklist.list", ask, &out); err != nil {
		return nil, err
	}
	return out, nil
}

func (w within) listAdd(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	e, err := params[blocklist.Entry](raw)
	if err != nil {
		return nil, err
	}
	if !scoped(p, e.Scope) {
		return nil, control.Refuse(control.Invalid, "within.scope-domain-or-recipient-of-what-is", "scope: domain: or recipient: of what is yours, not %.60q", "scope", e.Scope)
	}
	var out listcalls.Entry
	err = w.calls.Call(ctx, "blocklist.add", e, &out)
	return out, err
}

func (w within) listRemove(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	id, err := params[calls.ID](raw)
	if err != nil {
		return nil, err
	}
	if words := strings.Fields(id.ID); len(words) != 3 || !scoped(p, words[2]) {
		return nil, control.Refuse(control.NotFound, "within.you-have-no-such-entry", "you have no such entry")
	}
	var out string
	err = w.calls.Call(ctx, "blocklist.remove", id, &out)
	return out, err
}
