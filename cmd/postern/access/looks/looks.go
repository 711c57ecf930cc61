// Package looks writes into the audit who reached for what is not theirs, without letting them
// fill it: the first look of somebody at a kind of thing is a line of its own, those after it are
// one line with their number.
package looks

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of what is folded.
const (
	Per      = 10 * time.Minute // looks within it after the first are one line
	MaxOpen  = 1000             // people and kinds that are counted at a time; the oldest is written early
	maxNamed = 5                // of the looks that are counted, how many are named
	maxNote  = 200              // octets of what one look asked for
)

// Look is somebody reaching for what is not there or not theirs.
type Look struct {
	Actor  string
	Kind   string // looks of one actor and kind are folded
	Object string // as the audit names it
	Note   string // what was asked for
}

// Book writes looks down. Its fields are set before it is used.
type Book struct {
	Audit func(ctx context.Context, actor, action, object string, before, after any, note string) error
	Now   func() time.Time
	Log   *slog.Logger

	mu   sync.Mutex
	open map[key]*span
}

type key struct{ actor, kind string }

// span is the looks since one that has a line of its own.
type span struct {
	since time.Time
	last  Look
	n     int
	named []string
}

// names are some of what was looked at.
func (s *span) names() string {
	text := strings.Join(s.named, ", ")
	if s.n > len(s.named) {
		text += " ..."
	}
	return text
}

// Note takes a look down.
func (b *Book) Note(ctx context.Context, l Look) {
	l.Note = strings.ToValidUTF8(l.Note[:min(len(l.Note), maxNote)], "")
	first, over := b.take(l)
	b.write(ctx, over)
	if first {
		b.audit(ctx, l.Actor, l.Object, l.Note)
	}
}

// take counts a look, or says that it is the first; over is what has to be written before.
func (b *Book) take(l Look) (first bool, over []*span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, k := b.Now(), key{l.Actor, l.Kind}
	s := b.open[k]
	if s != nil && now.Sub(s.since) < Per {
		s.last = l
		if s.n++; len(s.named) < maxNamed && !slices.Contains(s.named, l.Note) {
			s.named = append(s.named, l.Note)
		}
		return false, nil
	}
	if b.open == nil {
		b.open = map[key]*span{}
	}
	if s != nil {
		over = append(over, s)
		delete(b.open, k)
	}
	if len(b.open) >= MaxOpen {
		over = append(over, b.oldest())
	}
	b.open[k] = &span{since: now, last: l}
	return true, over
}

// oldest takes out the span that began first.
func (b *Book) oldest() *span {
	var at key
	var s *span
	for k, x := range b.open {
		if s == nil || x.since.Before(s.since) {
			at, s = k, x
		}
	}
	delete(b.open, at)
	return s
}

// write writes what was counted.
func (b *Book) write(ctx context.Context, over []*span) {
	for _, s := range over {
		if s.n > 0 {
			b.audit(ctx, s.last.Actor, s.last.Object, fmt.Sprintf("%d more within %s: %s", s.n, Per, s.names()))
		}
	}
}

func (b *Book) audit(ctx context.Context, actor, object, note string) {
	if err := b.Audit(ctx, actor, "refused", object, nil, nil, note); err != nil {
		b.Log.Error("the audit does not take a refusal", "actor", actor, "object", object, "note", note, "error", err)
	}
}

// Flush writes the spans that are over, or all.
func (b *Book) Flush(ctx context.Context, all bool) {
	b.mu.Lock()
	var over []*span
	for k, s := range b.open {
		if all || b.Now().Sub(s.since) >= Per {
			over = append(over, s)
			delete(b.open, k)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(over, func(x, y *span) int { return x.since.Compare(y.since) })
	b.write(ctx, over)
}

// Run writes what was counted when its time is over, and all of it at the end.
func (b *Book) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.Flush(context.WithoutCancel(ctx), true)
			return nil
		case <-tick.C:
			b.Flush(ctx, false)
		}
	}
}
