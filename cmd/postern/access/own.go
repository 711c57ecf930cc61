package access

import (
	"context"
	"fmt"
	"slices"

	mine "postern/internal/desk/own"
	"postern/internal/people"
)

var _ mine.Account = (*Pages)(nil)

// Me implements mine.Account.
func (p *Pages) Me(ctx context.Context, name string) (mine.Me, error) {
	u, err := p.people.User(ctx, name)
	if err != nil {
		return mine.Me{}, err
	}
	f, err := p.factors.Of(ctx, name)
	return mine.Me{
		Name: u.Name, Role: string(u.Role), Email: u.Email, Language: u.Language, Covers: append(slices.Clone(u.Domains), u.Addresses...),
		Password: u.Password, Factor: f.On, Since: f.Since, Left: f.Left, Needs: slices.Contains(p.need, string(u.Role)),
	}, err
}

// SetPassword implements mine.Account.
func (p *Pages) SetPassword(ctx context.Context, name, password string) (uint64, error) {
	u, err := p.people.Change(ctx, name, name, people.Change{Password: &password})
	return u.Epoch, told(err)
}

// SetLanguage implements mine.Account.
func (p *Pages) SetLanguage(ctx context.Context, name, language string) error {
	_, err := p.people.Change(ctx, name, name, people.Change{Language: &language})
	return told(err)
}

// BeginFactor implements mine.Account.
func (p *Pages) BeginFactor(ctx context.Context, name string) error {
	_, err := p.factors.Begin(ctx, name, p.issuer)
	return err
}

// Offer implements mine.Account.
func (p *Pages) Offer(ctx context.Context, name string) (mine.Offer, error) {
	o, err := p.factors.Waiting(ctx, name, p.issuer)
	if err != nil {
		return mine.Offer{}, told(err)
	}
	picture, err := o.Picture()
	if err != nil {
		return mine.Offer{}, fmt.Errorf("a QR code: %w", err)
	}
	return mine.Offer{Secret: o.Spaced(), Picture: picture}, nil
}

// ConfirmFactor implements mine.Account.
func (p *Pages) ConfirmFactor(ctx context.Context, name, code string) ([]string, error) {
	codes, err := p.factors.Confirm(ctx, name, code)
	return codes, told(denied(err))
}

// DropFactor implements mine.Account.
func (p *Pages) DropFactor(ctx context.Context, name string) error {
	return p.factors.Reset(ctx, name, name, "")
}
