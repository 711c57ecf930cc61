package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// Directory keeps users and tokens. Every change is written to the audit.
type Directory struct {
	now    func() time.Time
	audit  Audit
	users  entity.Table[User]
	tokens entity.Table[Token]
	cost   cost
	slots  chan struct{} // how many passwords are tried at once: each takes cost.memory
	dummy  func() string // a hash that no password has, so that unknown names take as long
	rights sync.Mutex    // of this node: the last postmaster stays
}

// Audit writes down what actor did to object.
type Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error

// New returns the directory that stands in the store.
func New(store entity.Store, now func() time.Time, audit Audit) *Directory {
	d := &Directory{now: now, audit: audit, cost: cost{memoryKiB, passes}, slots: make(chan struct{}, 2)}
	d.users = entity.Table[User]{Store: store, Kind: "user", ID: func(u *User) string { return u.Name }, Keys: func(u *User) []entity.Key {
		keys := []entity.Key{{Index: "all"}, {Index: "role", Value: string(u.Role)}}
		if u.Unix != "" {
			keys = append(keys, entity.Key{Index: "unix", Value: u.Unix})
		}
		if u.Subject != "" {
			keys = append(keys, entity.Key{Index: "subject", Value: u.Subject})
		}
		return keys
	}}
	d.tokens = entity.Table[Token]{Store: store, Kind: "token", ID: func(t *Token) string { return t.ID }, Keys: func(t *Token) []entity.Key {
		at := t.Created.UnixMilli()
		return []entity.Key{{Index: "all", At: at}, {Index: "owner", Value: t.Owner, At: at}}
	}}
	d.dummy = sync.OnceValue(func() string { return d.cost.hashPassword("nobody has this password") })
	return d
}

func known(err error) error {
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, entity.ErrExists):
		return ErrExists
	}
	return err
}

// Add keeps a new user; an empty password is one that nobody can sign in with. Errors are
// ErrInvalid, ErrExists, or the store's.
func (d *Directory) Add(ctx context.Context, actor string, u User, password string) (User, error) {
	if err := u.normalise(); err != nil {
		return User{}, err
	}
	u.Hash, u.Epoch, u.By, u.Created, u.Disabled = "", 1, actor, d.now().UTC(), false
	u.Changed = u.Created
	if password != "" {
		if err := checkPassword(u.Name, password); err != nil {
			return User{}, err
		}
		hash, err := d.hash(ctx, password)
		if err != nil {
			return User{}, err
		}
		u.Hash = hash
	}
	if _, err := d.users.Create(ctx, u); err != nil {
		return User{}, fmt.Errorf("user %s: %w", u.Name, known(err))
	}
	return u.Seen(), d.audit(ctx, actor, "user-add", u.Name, nil, u.Seen(), "")
}

func (d *Directory) hash(ctx context.Context, password string) (string, error) {
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
		return d.cost.hashPassword(password), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// User returns one user, or ErrNotFound.
func (d *Directory) User(ctx context.Context, name string) (User, error) {
	row, err := d.users.Get(ctx, strings.ToLower(name))
	return row.Value.Seen(), known(err)
}

// Users returns all users by name.
func (d *Directory) Users(ctx context.Context) ([]User, error) {
	out := []User{}
	err := d.users.Each(ctx, entity.Query{Index: "all", Rising: true, Limit: entity.MaxPage}, func(r entity.Row[User]) error {
		out = append(out, r.Value.Seen())
		return nil
	})
	return out, err
}

// Change is what may be changed of a user; nil leaves it.
type Change struct {
	Role      *Role     `json:"role,omitempty"`
	Email     *string   `json:"email,omitempty"`
	Domains   *[]string `json:"domains,omitempty"`
	Addresses *[]string `json:"addresses,omitempty"`
	Language  *string   `json:"language,omitempty"`
	Unix      *string   `json:"unix,omitempty"`
	Disabled  *bool     `json:"disabled,omitempty"`
	Password  *string   `json:"password,omitempty"`
}

// Change changes a user. A change of rights or password ends what was signed in before. Errors
// are ErrInvalid, ErrNotFound, ErrLast, or the store's.
func (d *Directory) Change(ctx context.Context, actor, name string, c Change) (User, error) {
	d.rights.Lock()
	defer d.rights.Unlock()
	name = strings.ToLower(name)
	hash := ""
	if c.Password != nil {
		if err := checkPassword(name, *c.Password); err != nil {
			return User{}, err
		}
		h, err := d.hash(ctx, *c.Password)
		if err != nil {
			return User{}, err
		}
		hash = h
	}
	var before User
	row, err := d.users.Change(ctx, name, func(u *User) error {
		before = u.Seen()
		c.apply(u, hash)
		if err := u.normalise(); err != nil {
			return err
		}
		u.Changed = d.now().UTC()
		if before.Role == Postmaster && !before.Disabled && (u.Role != Postmaster || u.Disabled) {
			return d.another(ctx, name)
		}
		return nil
	})
	if err != nil {
		return User{}, known(err)
	}
	return row.Value.Seen(), d.audit(ctx, actor, "user-change", name, before, row.Value.Seen(), c.note())
}

func (c Change) apply(u *User, hash string) {
	set(&u.Email, c.Email)
	set(&u.Language, c.Language)
	rights := set(&u.Role, c.Role)
	rights = set(&u.Disabled, c.Disabled) || rights
	rights = set(&u.Unix, c.Unix) || rights
	if c.Domains != nil {
		u.Domains, rights = slices.Clone(*c.Domains), true
	}
	if c.Addresses != nil {
		u.Addresses, rights = slices.Clone(*c.Addresses), true
	}
	if hash != "" {
		u.Hash, rights = hash, true
	}
	if rights {
		u.Epoch++
	}
}

func (c Change) note() string {
	if c.Password != nil {
		return "the password was changed"
	}
	return ""
}

func set[T comparable](to, from *T) bool {
	if from == nil || *to == *from {
		return false
	}
	*to = *from
	return true
}

// another is nil if there is a postmaster beside the one of this name.
func (d *Directory) another(ctx context.Context, name string) error {
	err := d.users.Each(ctx, entity.Query{Index: "role", Value: string(Postmaster), Limit: entity.MaxPage}, func(r entity.Row[User]) error {
		if r.Value.Name != name && !r.Value.Disabled {
			return errFound
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return nil
	case err != nil:
		return err
	}
	return said.Errorf("people.user", "user %s: %w", "name", name, "kind", ErrLast)
}

var errFound = errors.New("found")

// Remove forgets a user and the tokens.
func (d *Directory) Remove(ctx context.Context, actor, name string) error {
	d.rights.Lock()
	defer d.rights.Unlock()
	row, err := d.users.Get(ctx, strings.ToLower(name))
	if err != nil {
		return known(err)
	}
	if row.Value.Role == Postmaster && !row.Value.Disabled {
		if err := d.another(ctx, row.Value.Name); err != nil {
			return err
		}
	}
	if err := d.users.Remove(ctx, row); err != nil {
		return err
	}
	all, err := d.Tokens(ctx, row.Value.Name)
	if err != nil {
		return err
	}
	for _, t := range all {
		if t.Revoked.IsZero() {
			if _, err := d.Revoke(ctx, actor, t.ID); err != nil {
				return err
			}
		}
	}
	return d.audit(ctx, actor, "user-remove", row.Value.Name, row.Value.Seen(), nil, "")
}

// SignIn checks a password. The error is ErrDenied for a wrong one, for a user that is not
// there or is disabled, all after the same work; any other error is the store's.
func (d *Directory) SignIn(ctx context.Context, name, password string) (Principal, User, error) {
	row, err := d.users.Get(ctx, strings.ToLower(strings.TrimSpace(name)))
	hash := row.Value.Hash
	switch {
	case errors.Is(err, entity.ErrNotFound), err == nil && hash == "":
		hash = d.dummy()
	case err != nil:
		return Principal{}, User{}, err
	}
	if len(password) > MaxPassword {
		password = password[:MaxPassword]
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return Principal{}, User{}, ctx.Err()
	}
	ok, weak := d.cost.verifyPassword(hash, password)
	<-d.slots
	if !ok || err != nil || row.Value.Hash == "" || row.Value.Disabled {
		return Principal{}, User{}, ErrDenied
	}
	if weak { // made anew with the cost of today; not the user's matter if that fails
		if better, err := d.hash(ctx, password); err == nil {
			_, _ = d.users.Change(ctx, row.Value.Name, func(u *User) error {
				if u.Hash != hash {
					return entity.ErrUnchanged
				}
				u.Hash = better
				return nil
			})
		}
	}
	return row.Value.principal(), row.Value.Seen(), nil
}

// Note writes into the audit what actor did to a user elsewhere.
func (d *Directory) Note(ctx context.Context, actor, action, name string) error {
	return d.audit(ctx, actor, action, name, nil, nil, "")
}

// Now is what time it is here.
func (d *Directory) Now() time.Time { return d.now() }

// ByUnix is the user as whom a login of this machine calls; false: none, or several.
func (d *Directory) ByUnix(ctx context.Context, login string) (Principal, bool, error) {
	rows, _, err := d.users.Find(ctx, entity.Query{Index: "unix", Value: login, Limit: 2})
	if err != nil || len(rows) != 1 || rows[0].Value.Disabled {
		return Principal{}, false, err
	}
	return rows[0].Value.principal(), true, nil
}

func (u User) principal() Principal {
	return Principal{Name: u.Name, Email: u.Email, Role: u.Role, Scopes: u.Role.Scopes(), Domains: u.Domains, Addresses: u.Addresses}
}
