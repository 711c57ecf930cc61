package home_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"postern/cmd/postern/home"
	"postern/internal/store/redis/conn"
)

func TestQuiet(t *testing.T) {
	for level, want := range map[slog.Level]int{slog.LevelInfo: 2, slog.LevelDebug: 5} {
		var out bytes.Buffer
		log := slog.New(home.Quiet(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})))
		away := fmt.Errorf("hold: %w", conn.ErrAway)
		log.Error("hold not written", "message", "m", "error", away)
		log.With("node", "a").Error("hold not written", "error", errors.Join(away, errors.New("x")))
		log.WithGroup("g").Warn("holds not asked", "err", away)
		log.Error("hold not written", "error", errors.New("disk full"))
		log.Info("serving", "value", any(nil))
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("%s: %d lines, want %d\n%s", level, got, want, out.String())
		}
	}
}
