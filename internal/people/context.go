package people

import "context"

type key struct{}

// With notes in ctx who makes the calls.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, key{}, p)
}

// From is who makes the call; false: somebody on this machine, whom the socket let in.
func From(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(key{}).(Principal)
	return p, ok
}
