package home

import (
	"context"
	"errors"
	"log/slog"

	"postern/internal/store/redis/conn"
)

// Quiet leaves out of a log what follows from an absent store: the store says itself, once in
// a while, that it is away, and each message's own line says what became of it.
func Quiet(h slog.Handler) slog.Handler { return quiet{h} }

type quiet struct{ slog.Handler }

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	away := false
	r.Attrs(func(a slog.Attr) bool {
		away = isAway(a)
		return !away
	})
	if away && !q.Enabled(ctx, slog.LevelDebug) {
		return nil
	}
	return q.Handler.Handle(ctx, r)
}

func isAway(a slog.Attr) bool {
	err, ok := a.Value.Any().(error)
	return ok && errors.Is(err, conn.ErrAway)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
