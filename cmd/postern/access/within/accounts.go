package within

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"postern/abuse/guarantee"
	"postern/abuse/measure"
	"postern/cmd/postern/accountcalls"
	"postern/internal/control"
	"postern/internal/people"
)

// accounts are those of the principal's domains that a search finds.
func (w within) accounts(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	s, err := params[accountcalls.Search](raw)
	if err != nil {
		return nil, err
	}
	if len(s.Domains) == 0 && s.Domain == "" {
		s.Domains = p.Domains
	}
	for _, d := range append(slices.Clone(s.Domains), s.Domain) {
		if d = strings.ToLower(strings.TrimPrefix(strings.TrimSpace(d), "@")); d != "" && !slices.Contains(p.Domains, d) {
			return nil, control.Refuse(control.NotFound, "within.is-not-yours", "%.60q is not yours", "d", d)
		}
	}
	if len(s.Domains) == 0 && strings.Trim(s.Domain, " @") == "" {
		return nil, control.Refuse(control.NotFound, "within.you-have-no-domain", "you have no domain")
	}
	var found accountcalls.Found
	if err := w.calls.Call(ctx, "account.find", s, &found); err != nil {
		return nil, err
	}
	found.Accounts = slices.DeleteFunc(found.Accounts, func(r accountcalls.Row) bool { return !p.Covers(r.Name) })
	return found, nil
}

// account is what an account of the principal's did, and what is in force; nothing of those who
// reported, and nothing of the desk's own papers.
func (w within) account(ctx context.Context, p people.Principal, raw json.RawMessage) (any, error) {
	q, err := params[struct {
		Name string `json:"name"`
	}](raw)
	if err != nil {
		return nil, err
	}
	if !strings.Contains(q.Name, "@") || !p.Covers(q.Name) {
		return nil, control.Refuse(control.NotFound, "within.is-no-account-of-yours", "%.60q is no account of yours", "name", q.Name)
	}
	var a accountcalls.Activity
	if err := w.calls.Call(ctx, "account.activity", q, &a); err != nil {
		return nil, err
	}
	a.Votes.Last, a.Measures, a.Guarantees, a.Certificates = nil, []measure.Measure{}, []guarantee.Pack{}, []guarantee.Certificate{}
	return a, nil
}
