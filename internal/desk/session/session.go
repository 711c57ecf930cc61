// Package session keeps who is signed in to the desk: one record for each browser, found by
// the hash of a cookie that nobody else has.
package session

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"postern/internal/entity"
)

// How long a session lasts.
const (
	Lifetime = 12 * time.Hour   // whatever is done with it
	Idle     = 30 * time.Minute // without a request
	Fresh    = 10 * time.Minute // a sign-in counts as just now, for acts that need one
	MaxOf    = 50               // sessions of one user; the oldest gives way
	Half     = 10 * time.Minute // between the password and the code
	noted    = time.Minute      // use is written down at most so often
)

// ErrNone says that there is no session, or none any more.
var ErrNone = errors.New("nobody is signed in")

// Session is somebody signed in.
type Session struct {
	ID     string    `json:"id"` // hash of the cookie
	User   string    `json:"user"`
	Epoch  uint64    `json:"epoch"` // of the user when it began
	Began  time.Time `json:"began"`
	Seen   time.Time `json:"seen"`           // to the minute
	Proved time.Time `json:"proved"`         // when the password was last given
	Form   string    `json:"form"`           // what forms of this session carry
	From   string    `json:"from"`           // address it began from
	Agent  string    `json:"agent"`          // what the browser calls itself
	Half   bool      `json:"half,omitempty"` // the password was right, the code is missing yet
	By     string    `json:"by,omitempty"`   // who said who it is: "" we, or Provider
}

// Provider is By of a session that began at an OpenID provider.
const Provider = "provider"

// Sessions are the sessions of a home.
type Sessions struct {
	table  entity.Table[Session]
	now    func() time.Time
	secure bool
}

// New returns the sessions in a store. Secure cookies need a listener with TLS, or one that
// stands behind a proxy with it.
func New(store entity.Store, now func() time.Time, secure bool) *Sessions {
	return &Sessions{now: now, secure: secure, table: entity.Table[Session]{
		Store: store, Kind: "session", ID: func(s *Session) string { return s.ID },
		Keys: func(s *Session) []entity.Key {
			at := s.Began.UnixMilli()
			return []entity.Key{{Index: "user", Value: s.User, At: at}, {Index: "all", At: at}}
		},
	}}
}

// name is the cookie's. Browsers accept the first only over TLS, from this host, for all of it.
func (s *Sessions) name() string {
	if s.secure {
		return "__Host-postern"
	}
	return "postern"
}

// cookie goes with links from elsewhere, as what colleagues send each other and what a provider
// sends back, and with no form from there.
func (s *Sessions) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: s.name(), Value: value, Path: "/", MaxAge: age, Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Begin signs somebody in: a new session with what v says of User, Epoch, From, Half and By,
// whatever cookie the browser brought.
func (s *Sessions) Begin(w http.ResponseWriter, r *http.Request, v Session) (Session, error) {
	ctx, now := r.Context(), s.now()
	if err := s.room(ctx, v.User); err != nil {
		return Session{}, err
	}
	token := rand.Text() + rand.Text()
	row, err := s.table.Create(ctx, Session{
		ID: hash(token), User: v.User, Epoch: v.Epoch, Began: now, Seen: now, Proved: now, Form: rand.Text(),
		From: v.From, Agent: cut(strings.ToValidUTF8(r.UserAgent(), "?"), 200), Half: v.Half, By: v.By,
	})
	if err != nil {
		return Session{}, fmt.Errorf("a session of %s: %w", v.User, err)
	}
	if old, err := r.Cookie(s.name()); err == nil {
		_ = s.end(ctx, hash(old.Value)) // it is over in any case when its time is
	}
	http.SetCookie(w, s.cookie(token, int(Lifetime/time.Second)))
	return row.Value, nil
}

func cut(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}

// room ends the oldest sessions of a user who has too many.
func (s *Sessions) room(ctx context.Context, user string) error {
	q := entity.Query{Index: "user", Value: user, Rising: true, Limit: entity.MaxPage}
	n, err := s.table.Count(ctx, q, MaxOf)
	if err != nil || n < MaxOf {
		return err
	}
	rows, _, err := s.table.Find(ctx, q)
	if err != nil {
		return err
	}
	for _, row := range rows[:max(0, len(rows)-MaxOf+1)] {
		if err := s.table.Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) {
			return err
		}
	}
	return nil
}

// Of returns the session of a request, or ErrNone; any other error is the store's.
func (s *Sessions) Of(r *http.Request) (Session, error) {
	c, err := r.Cookie(s.name())
	if err != nil || len(c.Value) > 100 {
		return Session{}, ErrNone
	}
	ctx, id, now := r.Context(), hash(c.Value), s.now()
	row, err := s.table.Get(ctx, id)
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return Session{}, ErrNone
	case err != nil:
		return Session{}, err
	}
	v := row.Value
	if v.over(now) {
		return Session{}, errors.Join(ErrNone, s.end(ctx, id))
	}
	if now.Sub(v.Seen) >= noted && !byItself(r) {
		row, err = s.table.Change(ctx, id, func(v *Session) error { v.Seen = now; return nil })
		if errors.Is(err, entity.ErrNotFound) {
			return Session{}, ErrNone
		}
		return row.Value, err
	}
	return v, nil
}

// over reports whether a session has ended by itself; one from the future was written before
// the clock was set back, and nobody knows how old it is.
func (s *Session) over(now time.Time) bool {
	return s.Half && now.Sub(s.Began) >= Half || now.Sub(s.Began) >= Lifetime || now.Sub(s.Seen) >= Idle || s.Began.After(now.Add(Idle))
}

// Prove notes that the user of a session gave the password again.
func (s *Sessions) Prove(ctx context.Context, id string) error {
	_, err := s.table.Change(ctx, id, func(v *Session) error { v.Proved = s.now(); return nil })
	return err
}

// Fresh reports whether the password was given just now.
func (s *Sessions) Fresh(v Session) bool { return s.now().Sub(v.Proved) < Fresh }

// Carries reports whether a form came from a page of this session.
func (s *Session) Carries(form string) bool {
	return s.Form != "" && subtle.ConstantTimeCompare([]byte(s.Form), []byte(form)) == 1
}

// End signs out.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) error {
	http.SetCookie(w, s.cookie("", -1))
	var errs []error
	for _, c := range r.CookiesNamed(s.name()) {
		errs = append(errs, s.end(r.Context(), hash(c.Value)))
	}
	return errors.Join(errs...)
}

func (s *Sessions) end(ctx context.Context, id string) error {
	for {
		row, err := s.table.Get(ctx, id)
		if err == nil {
			err = s.table.Remove(ctx, row)
		}
		switch {
		case errors.Is(err, entity.ErrNotFound):
			return nil
		case !errors.Is(err, entity.ErrConflict):
			return err
		}
	}
}

// List returns the sessions of a user, the newest first.
func (s *Sessions) List(ctx context.Context, user string) ([]Session, error) {
	rows, _, err := s.table.Find(ctx, entity.Query{Index: "user", Value: user, Limit: entity.MaxPage})
	var all []Session
	for _, row := range rows {
		if !row.Value.over(s.now()) && !row.Value.Half {
			all = append(all, row.Value)
		}
	}
	return all, err
}

// EndOne signs a user out of the session with that ID.
func (s *Sessions) EndOne(ctx context.Context, user, id string) error {
	row, err := s.table.Get(ctx, id)
	if errors.Is(err, entity.ErrNotFound) || err == nil && row.Value.User != user {
		return nil
	}
	if err != nil {
		return err
	}
	return s.end(ctx, id)
}

// EndAll signs a user out everywhere but in the session with the ID except.
func (s *Sessions) EndAll(ctx context.Context, user, except string) error {
	rows, _, err := s.table.Find(ctx, entity.Query{Index: "user", Value: user, Limit: entity.MaxPage})
	for _, row := range rows {
		if row.Value.ID != except {
			err = errors.Join(err, s.end(ctx, row.Value.ID))
		}
	}
	return err
}

// Prune forgets sessions that are over, up to limit of them, and returns how many.
func (s *Sessions) Prune(ctx context.Context, limit int) (int, error) {
	n := 0
	rows, _, err := s.table.Find(ctx, entity.Query{Index: "all", To: s.now().Add(-Lifetime).UnixMilli(), From: 1, Rising: true, Limit: min(limit, entity.MaxPage)})
	if err != nil {
		return 0, err
	}
	for _, row := range rows {
		if err := s.table.Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) {
			return n, err
		}
		n++
	}
	return n, nil
}
