package people

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"postern/internal/entity"
)

// InviteLife is how long a one-time link is good.
const InviteLife = time.Hour

// Invite is a one-time link with which a user sets a password.
type Invite struct {
	ID      string    `json:"id"` // SHA-256 of what stands in the link, hex
	User    string    `json:"user"`
	Epoch   uint64    `json:"epoch"` // of the user: a link made before a change is no longer good
	By      string    `json:"by"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
}

func (d *Directory) invites() entity.Table[Invite] {
	return entity.Table[Invite]{Store: d.users.Store, Kind: "invite", ID: func(i *Invite) string { return i.ID }, Keys: func(i *Invite) []entity.Key {
		return []entity.Key{{Index: "user", Value: i.User}, {Index: "all", At: i.Made.UnixMilli()}}
	}}
}

func inviteID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Invite makes a link for a user, in place of any before, and returns what stands in it. Errors
// are ErrNotFound, ErrInvalid for a user who is disabled, or the store's.
func (d *Directory) Invite(ctx context.Context, actor, name string) (string, Invite, error) {
	u, err := d.User(ctx, name)
	switch {
	case err != nil:
		return "", Invite{}, err
	case u.Disabled:
		return "", Invite{}, errors.Join(ErrInvalid, errors.New("the user is disabled"))
	}
	rows, _, err := d.invites().Find(ctx, entity.Query{Index: "user", Value: u.Name, Limit: entity.MaxPage})
	if err != nil {
		return "", Invite{}, err
	}
	for _, row := range rows {
		if err := d.invites().Remove(ctx, row); err != nil && !errors.Is(err, entity.ErrConflict) && !errors.Is(err, entity.ErrNotFound) {
			return "", Invite{}, err
		}
	}
	token, now := rand.Text()+rand.Text(), d.now().UTC()
	i := Invite{ID: inviteID(token), User: u.Name, Epoch: u.Epoch, By: actor, Made: now, Expires: now.Add(InviteLife)}
	if _, err := d.invites().Create(ctx, i); err != nil {
		return "", Invite{}, err
	}
	return token, i, d.audit(ctx, actor, "user-invite", u.Name, nil, nil, "good until "+i.Expires.Format(time.RFC3339))
}

// Invited is the user that a link is for; ErrDenied for one that is not good or no longer.
func (d *Directory) Invited(ctx context.Context, token string) (User, error) {
	u, _, err := d.invited(ctx, token)
	return u, err
}

func (d *Directory) invited(ctx context.Context, token string) (User, entity.Row[Invite], error) {
	var none entity.Row[Invite]
	if len(token) > 100 {
		return User{}, none, ErrDenied
	}
	row, err := d.invites().Get(ctx, inviteID(token))
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return User{}, none, ErrDenied
	case err != nil:
		return User{}, none, err
	}
	u, err := d.User(ctx, row.Value.User)
	switch {
	case errors.Is(err, ErrNotFound):
		return User{}, none, ErrDenied
	case err != nil:
		return User{}, none, err
	case !row.Value.Used.IsZero() || u.Disabled || u.Epoch != row.Value.Epoch || !d.now().Before(row.Value.Expires) || d.now().Before(row.Value.Made.Add(-InviteLife)):
		return User{}, none, ErrDenied
	}
	return u, row, nil
}

// Accept sets the password of whom a link is for, once. Errors are ErrDenied, ErrInvalid for a
// password that is not taken, or the store's.
func (d *Directory) Accept(ctx context.Context, token, password string) (User, error) {
	u, row, err := d.invited(ctx, token)
	if err != nil {
		return User{}, err
	}
	if err := checkPassword(u.Name, password); err != nil {
		return User{}, err
	}
	_, err = d.invites().Change(ctx, row.Value.ID, func(i *Invite) error { // of two at once one gets past this
		if !i.Used.IsZero() {
			return ErrDenied
		}
		i.Used = d.now().UTC()
		return nil
	})
	switch {
	case errors.Is(err, entity.ErrNotFound):
		return User{}, ErrDenied
	case err != nil:
		return User{}, err
	}
	return d.Change(ctx, u.Name, u.Name, Change{Password: &password})
}
