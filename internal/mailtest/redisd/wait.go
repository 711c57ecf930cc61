package redisd

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// patience is how long servers may take to agree on something.
const patience = 60 * time.Second

// until asks again and again until the answer is "", which is what is still missing.
func until(t testing.TB, what string, missing func(ctx context.Context) string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		last := missing(ctx)
		if last == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s", what, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// replication is one field of INFO replication, or "".
func (s *Server) replication(ctx context.Context, field string) string {
	c := s.Client()
	defer end(c)
	text, _ := c.Info(ctx, "replication").Result()
	return fieldOf(text, field)
}

func fieldOf(text, field string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return v
		}
	}
	return ""
}

// Role is "master" or "slave", or "" while the server does not answer.
func (s *Server) Role(ctx context.Context) string { return s.replication(ctx, "role") }

// running reports whether the process lives.
func (s *Server) running() bool {
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// end closes what was opened to look at a server.
func end(c io.Closer) { _ = c.Close() }
