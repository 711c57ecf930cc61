package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// mark stands before every token, so that scanners for leaked secrets know one.
const mark = "postern_"

const (
	idBytes     = 10
	secretBytes = 32
)

// AddToken makes a token for a user and returns what to present, which is not kept. The scopes
// are some of the owner's; none at all means all of them. Errors are ErrInvalid, ErrNotFound,
// or the store's.
func (d *Directory) AddToken(ctx context.Context, actor, owner, name string, scopes []Scope, lifetime time.Duration) (string, Token, error) {
	row, err := d.users.Get(ctx, strings.ToLower(owner))
	if err != nil {
		return "", Token{}, fmt.Errorf("user %s: %w", owner, known(err))
	}
	if err := validName("token", name); err != nil {
		return "", Token{}, err
	}
	may := row.Value.Role.Scopes()
	if len(scopes) == 0 {
		scopes = may
	}
	for _, s := range scopes {
		if !slices.Contains(may, s) {
			return "", Token{}, said.Errorf("people.scope-is-not-one-of-a", "scope %q is not one of a %s (%v): %w", "s", s, "role", row.Value.Role, "may", may, "kind", ErrInvalid)
		}
	}
	if lifetime <= 0 || lifetime > MaxLifetime {
		return "", Token{}, said.Errorf("people.a-lifetime-of-more-than-none-at", "a lifetime of %v: more than none, at most %v: %w", "lifetime", lifetime, "most", MaxLifetime, "kind", ErrInvalid)
	}
	id, secret := make([]byte, idBytes), make([]byte, secretBytes)
	_, _ = rand.Read(id) // never fails
	_, _ = rand.Read(secret)
	sum := sha256.Sum256(secret)
	now := d.now().UTC()
	t := Token{ID: strings.ToLower(base32.StdEncoding.EncodeToString(id)), Name: name, Owner: row.Value.Name, Scopes: scopes, Created: now, By: actor, Expires: now.Add(lifetime), Hash: hex.EncodeToString(sum[:])}
	if _, err := d.tokens.Create(ctx, t); err != nil {
		return "", Token{}, known(err)
	}
	return mark + t.ID + "_" + base64.RawURLEncoding.EncodeToString(secret), t.Seen(), d.audit(ctx, actor, "token-add", t.ID, nil, t.Seen(), "")
}

// Tokens returns the tokens of a user, or all of them for "", newest first.
func (d *Directory) Tokens(ctx context.Context, owner string) ([]Token, error) {
	q := entity.Query{Index: "all", Limit: entity.MaxPage}
	if owner != "" {
		q.Index, q.Value = "owner", strings.ToLower(owner)
	}
	out := []Token{}
	err := d.tokens.Each(ctx, q, func(r entity.Row[Token]) error {
		out = append(out, r.Value.Seen())
		return nil
	})
	return out, err
}

// Revoke ends a token for good.
func (d *Directory) Revoke(ctx context.Context, actor, id string) (Token, error) {
	var before Token
	row, err := d.tokens.Change(ctx, id, func(t *Token) error {
		before = t.Seen()
		if !t.Revoked.IsZero() {
			return entity.ErrUnchanged
		}
		t.Revoked = d.now().UTC()
		return nil
	})
	if err != nil {
		return Token{}, known(err)
	}
	if !before.Revoked.IsZero() {
		return before, nil
	}
	return row.Value.Seen(), d.audit(ctx, actor, "token-revoke", id, before, row.Value.Seen(), "")
}

// Authenticate says whose token was presented. The error is ErrDenied for everything that is
// wrong with it or its owner; any other error is the store's.
func (d *Directory) Authenticate(ctx context.Context, presented string) (Principal, error) {
	rest, ok := strings.CutPrefix(presented, mark)
	id, text, cut := strings.Cut(rest, "_")
	if !ok || !cut || len(id) != base32.StdEncoding.EncodedLen(idBytes) || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return Principal{}, ErrDenied
	}
	secret, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(secret) != secretBytes {
		return Principal{}, ErrDenied
	}
	row, err := d.tokens.Get(ctx, id)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return Principal{}, ErrDenied
	case err != nil:
		return Principal{}, err
	}
	t, sum := row.Value, sha256.Sum256(secret)
	now := d.now()
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(t.Hash)) != 1 || !t.Revoked.IsZero() || !now.Before(t.Expires) {
		return Principal{}, ErrDenied
	}
	owner, err := d.users.Get(ctx, t.Owner)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return Principal{}, ErrDenied
	case err != nil:
		return Principal{}, err
	case owner.Value.Disabled || owner.Value.Created.After(t.Created): // somebody else of that name
		return Principal{}, ErrDenied
	}
	p := owner.Value.principal()
	p.Token = t.Name
	p.Scopes = slices.DeleteFunc(slices.Clone(t.Scopes), func(s Scope) bool { return !slices.Contains(owner.Value.Role.Scopes(), s) })
	d.used(ctx, t, now)
	return p, nil
}

// used notes the hour of use; the call goes on where that cannot be written.
func (d *Directory) used(ctx context.Context, t Token, now time.Time) {
	hour := now.UTC().Truncate(time.Hour)
	if !t.Used.Before(hour) {
		return
	}
	_, _ = d.tokens.Change(ctx, t.ID, func(t *Token) error {
		if !t.Used.Before(hour) {
			return entity.ErrUnchanged
		}
		t.Used = hour
		return nil
	})
}
