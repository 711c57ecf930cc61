package people

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"postern/internal/entity"
)

// Identity is what an OpenID provider says of somebody.
type Identity struct {
	Issuer, Subject string
	Email           string // "" unless the provider verified it
	Name            string // what the provider would call a user
	Role            Role   // of the groups; "" gives none
}

func (i Identity) key() string {
	sum := sha256.Sum256([]byte(i.Issuer + "\x00" + i.Subject))
	return hex.EncodeToString(sum[:])
}

// Provided is the user that somebody is whom a provider vouches for: the one who came with this
// subject before, else the one user with that verified address, else a new one where the groups
// give a role. The role of those whom the provider made follows the groups. The error is
// ErrDenied for anybody else.
func (d *Directory) Provided(ctx context.Context, i Identity) (Principal, User, error) {
	if i.Subject == "" || i.Role == Postmaster || i.Role == DomainAdmin {
		return Principal{}, User{}, ErrDenied
	}
	rows, _, err := d.users.Find(ctx, entity.Query{Index: "subject", Value: i.key(), Limit: 2})
	if err != nil {
		return Principal{}, User{}, err
	}
	var u User
	switch {
	case len(rows) > 1:
		return Principal{}, User{}, ErrDenied
	case len(rows) == 1:
		u, err = d.follow(ctx, rows[0].Value, i)
	default:
		u, err = d.bind(ctx, i)
	}
	switch {
	case errors.Is(err, ErrExists), errors.Is(err, ErrInvalid), errors.Is(err, ErrNotFound):
		return Principal{}, User{}, errors.Join(ErrDenied, err)
	case err != nil:
		return Principal{}, User{}, err
	case u.Disabled:
		return Principal{}, User{}, ErrDenied
	}
	return u.principal(), u.Seen(), nil
}

// follow gives a user whom the provider made the role of now.
func (d *Directory) follow(ctx context.Context, u User, i Identity) (User, error) {
	switch {
	case !u.Provided || u.Role == i.Role:
		return u, nil
	case i.Role == "":
		return User{}, ErrDenied
	}
	c := Change{Role: &i.Role}
	if i.Role == Recipient && len(u.Addresses) == 0 {
		c.Addresses = &[]string{i.Email}
	}
	return d.Change(ctx, "provider", u.Name, c)
}

// bind ties the subject to the user with its address, or to a new one.
func (d *Directory) bind(ctx context.Context, i Identity) (User, error) {
	var found []string
	if i.Email != "" {
		err := d.users.Each(ctx, entity.Query{Index: "all", Limit: entity.MaxPage}, func(r entity.Row[User]) error {
			if strings.EqualFold(r.Value.Email, i.Email) {
				found = append(found, r.Value.Name)
			}
			return nil
		})
		if err != nil {
			return User{}, err
		}
	}
	switch {
	case len(found) > 1:
		return User{}, ErrDenied
	case len(found) == 1:
		row, err := d.users.Change(ctx, found[0], func(u *User) error {
			if u.Subject != "" || u.Disabled { // somebody else's at the provider
				return ErrDenied
			}
			u.Subject = i.key()
			return nil
		})
		if err != nil {
			return User{}, known(err)
		}
		return row.Value, d.audit(ctx, "provider", "user-bind", row.Value.Name, nil, row.Value.Seen(), i.Issuer+" vouches for "+i.Email)
	case i.Role == "":
		return User{}, ErrDenied
	}
	return d.provide(ctx, i)
}

// provide makes a user of somebody whom only the provider knows.
func (d *Directory) provide(ctx context.Context, i Identity) (User, error) {
	u := User{Name: strings.ToLower(i.Name), Role: i.Role, Email: i.Email, Subject: i.key(), Provided: true}
	if validName("user", u.Name) != nil {
		u.Name = strings.ToLower(i.Email)
	}
	if i.Role == Recipient && i.Email != "" {
		u.Addresses = []string{i.Email}
	}
	made, err := d.Add(ctx, "provider", u, "")
	if errors.Is(err, ErrExists) && i.Email != "" && u.Name != strings.ToLower(i.Email) {
		u.Name = strings.ToLower(i.Email)
		made, err = d.Add(ctx, "provider", u, "")
	}
	return made, err
}
