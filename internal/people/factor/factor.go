// Package factor keeps the second factor of users: codes of an authenticator (RFC 6238) and
// recovery codes, each good for one sign-in. Secrets are sealed with a key that stands beside
// the store, so that neither the store nor a copy of it gives them away.
package factor

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"postern/internal/entity"
	"postern/internal/said"
)

// Bounds of a second factor.
const (
	Period   = 30 * time.Second // of a code
	Skew     = 1                // periods that a clock may be off, each way
	Recovery = 10               // recovery codes that are given out
	Pending  = time.Hour        // for which a secret waits for its first code
	secret   = 20               // octets, as RFC 4226 recommends
	maxCode  = 32
)

// Errors of a Book. They are wrapped: use errors.Is.
var (
	ErrDenied = said.New("people.the-code-is-not-good", "the code is not good")
	ErrNone   = said.New("people.nothing-waits-to-be-confirmed", "nothing waits to be confirmed")
)

// Factor is the second factor of a user.
type Factor struct {
	User    string    `json:"user"`
	Sealed  string    `json:"sealed,omitempty"` // the secret in force
	Since   time.Time `json:"since,omitzero"`
	Step    int64     `json:"step,omitempty"`  // the newest period whose code was used
	Codes   []string  `json:"codes,omitempty"` // marks of the recovery codes that are left
	Waiting string    `json:"waiting,omitempty"`
	Began   time.Time `json:"began,omitzero"` // when that one was made
}

// State is what may be shown of it.
type State struct {
	On    bool      `json:"on"`
	Since time.Time `json:"since,omitzero"`
	Left  int       `json:"left"` // recovery codes
}

// Book keeps the second factors of a home.
type Book struct {
	Store entity.Store
	Key   Key
	Now   func() time.Time
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

func (b *Book) table() entity.Table[Factor] {
	return entity.Table[Factor]{Store: b.Store, Kind: "second-factor", ID: func(f *Factor) string { return f.User }}
}

// Of says whether a user has one.
func (b *Book) Of(ctx context.Context, user string) (State, error) {
	row, err := b.table().Get(ctx, user)
	if errors.Is(err, entity.ErrNotFound) || err == nil && row.Value.Sealed == "" {
		return State{}, nil
	}
	return State{On: err == nil, Since: row.Value.Since, Left: len(row.Value.Codes)}, err
}

// Offer is a secret to be put into an authenticator.
type Offer struct {
	Secret string // as people type it
	key    *otp.Key
}

// Begin makes a secret that is in force once Confirm has seen a code of it. What was in force
// stays so until then.
func (b *Book) Begin(ctx context.Context, user, issuer string) (Offer, error) {
	raw := make([]byte, secret)
	_, _ = rand.Read(raw) // never fails
	sealed, err := b.Key.seal(user, raw)
	if err != nil {
		return Offer{}, err
	}
	now := b.Now().UTC()
	_, err = b.table().Change(ctx, user, func(f *Factor) error { f.Waiting, f.Began = sealed, now; return nil })
	if errors.Is(err, entity.ErrNotFound) {
		_, err = b.table().Create(ctx, Factor{User: user, Waiting: sealed, Began: now})
	}
	if err != nil {
		return Offer{}, err
	}
	return offer(user, issuer, raw)
}

func offer(user, issuer string, raw []byte) (Offer, error) {
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: user, Secret: raw})
	return Offer{Secret: text(raw), key: key}, err
}

// Waiting is the offer that waits for its first code, or ErrNone.
func (b *Book) Waiting(ctx context.Context, user, issuer string) (Offer, error) {
	row, err := b.table().Get(ctx, user)
	if errors.Is(err, entity.ErrNotFound) || err == nil && !b.waits(&row.Value) {
		return Offer{}, ErrNone
	}
	if err != nil {
		return Offer{}, err
	}
	raw, err := b.Key.open(user, row.Value.Waiting)
	if err != nil {
		return Offer{}, err
	}
	return offer(user, issuer, raw)
}

func (b *Book) waits(f *Factor) bool { return f.Waiting != "" && b.Now().Sub(f.Began) < Pending }

// Confirm puts the secret that waits in force and returns the recovery codes, which are shown
// this once.
func (b *Book) Confirm(ctx context.Context, user, code string) ([]string, error) {
	codes := make([]string, Recovery)
	for i := range codes {
		t := strings.ToLower(rand.Text()[:16])
		codes[i] = t[:4] + "-" + t[4:8] + "-" + t[8:12] + "-" + t[12:]
	}
	_, err := b.table().Change(ctx, user, func(f *Factor) error {
		if !b.waits(f) {
			return ErrNone
		}
		step, err := b.step(user, f.Waiting, code)
		switch {
		case err != nil:
			return err
		case step < 0:
			return ErrDenied
		}
		*f = Factor{User: user, Sealed: f.Waiting, Since: b.Now().UTC(), Step: step}
		for _, c := range codes {
			f.Codes = append(f.Codes, b.Key.mark(user, plain(c)))
		}
		return nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		err = ErrNone
	}
	if err != nil {
		return nil, err
	}
	return codes, b.Audit(ctx, user, "second-factor-on", user, nil, nil, "")
}

// Use takes a code of the authenticator, or a recovery code, once. The error is ErrDenied for
// one that is wrong or was used, and for a user without a second factor.
func (b *Book) Use(ctx context.Context, user, code string) error {
	recovery := false
	_, err := b.table().Change(ctx, user, func(f *Factor) error {
		if f.Sealed == "" || len(code) > maxCode {
			return ErrDenied
		}
		code := plain(code)
		if i := slices.IndexFunc(f.Codes, func(m string) bool { return hmac.Equal([]byte(m), []byte(b.Key.mark(user, code))) }); i >= 0 {
			f.Codes, recovery = slices.Delete(f.Codes, i, i+1), true
			return nil
		}
		step, err := b.step(user, f.Sealed, code)
		switch {
		case err != nil:
			return err
		case step <= f.Step: // a code is used once (RFC 6238, 5.2), and so is whatever came before it
			return ErrDenied
		}
		f.Step = step
		return nil
	})
	if errors.Is(err, entity.ErrNotFound) {
		return ErrDenied
	}
	if err == nil && recovery {
		err = b.Audit(ctx, user, "recovery-code", user, nil, nil, "a recovery code was used")
	}
	return err
}

// Reset takes the second factor away.
func (b *Book) Reset(ctx context.Context, actor, user, note string) error {
	row, err := b.table().Get(ctx, user)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if err := b.table().Remove(ctx, row); err != nil {
		return fmt.Errorf("the second factor of %s: %w", user, err)
	}
	return b.Audit(ctx, actor, "second-factor-off", user, nil, nil, note)
}

// step is the period that a code belongs to, the newest of those that are let pass; -1: none.
func (b *Book) step(user, sealed, code string) (int64, error) {
	raw, err := b.Key.open(user, sealed)
	if err != nil {
		return -1, err
	}
	now, found := b.Now(), int64(-1)
	for i := -Skew; i <= Skew; i++ {
		at := now.Add(time.Duration(i) * Period)
		want, err := totp.GenerateCode(text(raw), at)
		if err != nil {
			return -1, err
		}
		if hmac.Equal([]byte(want), []byte(plain(code))) {
			found = at.Unix() / int64(Period/time.Second)
		}
	}
	return found, nil
}

func text(raw []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)
}

// plain is a code without what people put between its characters.
func plain(code string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(code))
}
