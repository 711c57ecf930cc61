package decisions_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest/redisd"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/decisions"
	"postern/internal/store/redis/redistest"
)

// A store that says it has records without end takes neither the memory of a node nor its time.
func TestEndlessStore(t *testing.T) {
	page := "*2\r\n$1\r\n7\r\n*8000\r\n" + strings.Repeat("$1\r\nf\r\n$1\r\nv\r\n", 4000)
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		switch strings.ToLower(args[0]) {
		case "eval":
			return redisd.Answer{Text: "*4\r\n:5\r\n$0\r\n\r\n:100000000000\r\n:1\r\n"}
		case "hscan":
			return redisd.Answer{Text: page}
		}
		return redisd.Answer{}
	})
	c, err := conn.Open(conn.Options{Addrs: []string{s.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d, err := decisions.Open(t.Context(), decisions.Options{
		File: filepath.Join(t.TempDir(), "decisions"), Conn: c, Ring: redistest.Ring(t), Node: "a", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("Sync: %v", err)
	}
}
