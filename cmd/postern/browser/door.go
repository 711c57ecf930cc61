package browser

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"postern/cmd/postern/access"
	"postern/cmd/postern/access/looks"
	"postern/internal/config"
	"postern/internal/desk/once"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/entity"
	"postern/internal/people"
	"postern/internal/people/factor"
)

// Door is what NewDoor is built from.
type Door struct {
	Config   *config.Config
	Entities entity.Store
	Now      func() time.Time
	Log      *slog.Logger
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// NewDoor is who may call what, and how people get in.
func NewDoor(d Door) (*access.Access, error) {
	path, mayMake := d.Config.DeskKey()
	key, err := factor.OpenKey(path, mayMake)
	if err != nil {
		return nil, fmt.Errorf("the key of second factors: %w", err)
	}
	return &access.Access{
		People: people.New(d.Entities, d.Now, d.Audit), Keys: once.New(d.Entities, d.Now), Sessions: session.New(d.Entities, d.Now, d.Config.Desk.Secure()), Need: d.Config.Desk.TOTP, Base: d.Config.Desk.URL, Now: d.Now, Log: d.Log, Looks: &looks.Book{Audit: d.Audit, Now: d.Now, Log: d.Log},
		Factors: &factor.Book{Store: d.Entities, Key: key, Now: d.Now, Audit: d.Audit},
	}, nil
}

// elsewhere is the OpenID provider, if there is one.
func elsewhere(p Parts) (*provider.Provider, error) {
	d := p.Config.Desk
	if d.OIDC.Issuer == "" {
		return nil, nil
	}
	o := provider.Options{
		Name: d.OIDC.Name, Issuer: d.OIDC.Issuer, ClientID: d.OIDC.ClientID, Scopes: d.OIDC.Scopes, Claim: d.OIDC.Claim, Roles: d.OIDC.Roles,
		Order:    []string{string(people.Lead), string(people.Agent), string(people.Auditor), string(people.Recipient)},
		Redirect: strings.TrimSuffix(d.URL, "/") + "/sign-in/provider/back", Now: p.Now, Log: p.Log,
	}
	if d.OIDC.SecretFile != "" {
		secret, err := config.ReadSecret(d.OIDC.SecretFile)
		if err != nil {
			return nil, fmt.Errorf("desk.oidc: %w", err)
		}
		o.Secret = secret
	}
	return provider.New(o), nil
}

// Routes are the patterns of all pages.
func (b *Browser) Routes() []string { return b.site.Routes() }
