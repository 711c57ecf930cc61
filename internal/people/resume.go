package people

import (
	"context"
	"errors"
)

// Resume is somebody who signed in before, with the rights of now. The error is ErrDenied for
// a user that is not there, is disabled, or whose password or rights were changed since that
// epoch; any other is the store's.
func (d *Directory) Resume(ctx context.Context, name string, epoch uint64) (Principal, User, error) {
	row, err := d.users.Get(ctx, name)
	u := row.Value
	switch {
	case errors.Is(known(err), ErrNotFound):
		return Principal{}, User{}, ErrDenied
	case err != nil:
		return Principal{}, User{}, err
	case u.Disabled || u.Epoch != epoch:
		return Principal{}, User{}, ErrDenied
	}
	return u.principal(), u.Seen(), nil
}
