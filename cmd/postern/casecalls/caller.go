package casecalls

import (
	"context"

	"postern/abuse/cases"
)

// Caller is who makes a call on cases, and as what; others refuse with it who may not.
func Caller(ctx context.Context) (cases.Actor, error) { return actor(ctx) }

// Known turns the refusals of the cases into those of a call.
func Known(err error) error { return known(err) }
