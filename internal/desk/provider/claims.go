package provider

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// flag is a claim that is true; some providers write it as text.
type flag bool

// UnmarshalJSON takes true and "true" for true, and everything else for false.
func (f *flag) UnmarshalJSON(raw []byte) error {
	*f = string(raw) == "true" || string(raw) == `"true"`
	return nil
}

type claims struct {
	Email    string `json:"email"`
	Verified flag   `json:"email_verified"`
	Name     string `json:"preferred_username"`
	Signed   int64  `json:"auth_time"`
}

// identity is what an ID token that was verified says.
func (p *Provider) identity(id *oidc.IDToken, t Trip) (Identity, error) {
	var c claims
	if err := id.Claims(&c); err != nil {
		return Identity{}, fmt.Errorf("the claims: %w: %w", ErrRefused, err)
	}
	if age := p.o.Now().Sub(time.Unix(c.Signed, 0)); t.Again && (age > Fresh || age < -Fresh) {
		return Identity{}, fmt.Errorf("the provider did not ask for the password again: %w", ErrRefused)
	}
	who := Identity{Issuer: id.Issuer, Subject: id.Subject, Name: c.Name}
	if c.Verified {
		who.Email = c.Email
	}
	groups, err := p.groups(id)
	if err != nil {
		return Identity{}, err
	}
	for _, role := range p.o.Order {
		if slices.ContainsFunc(groups, func(g string) bool { return p.o.Roles[g] == role }) {
			who.Role = role
			break
		}
	}
	return who, nil
}

// groups are those that the claim names: one, or several.
func (p *Provider) groups(id *oidc.IDToken) ([]string, error) {
	if p.o.Claim == "" {
		return nil, nil
	}
	var all map[string]json.RawMessage
	if err := id.Claims(&all); err != nil {
		return nil, fmt.Errorf("the claims: %w: %w", ErrRefused, err)
	}
	var one string
	var many []string
	raw, there := all[p.o.Claim]
	switch {
	case !there:
		return nil, nil
	case json.Unmarshal(raw, &many) == nil && len(many) <= maxGroups:
		return many, nil
	case json.Unmarshal(raw, &one) == nil:
		return []string{one}, nil
	}
	return nil, fmt.Errorf("the claim %s is no list of at most %d names: %w", p.o.Claim, maxGroups, ErrRefused)
}
