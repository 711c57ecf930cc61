package redis

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"postern/internal/spool"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/sealed"
)

// away are options with a store at which nobody listens.
func away(t *testing.T, strict bool) Options {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ring, err := sealed.New([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Conn: conn.Options{Addrs: []string{l.Addr().String()}}, Ring: ring, Dir: filepath.Join(t.TempDir(), "redis"), Node: "a", Version: "v", Strict: strict,
		Rules: func() string { return "1" }, Spool: &spool.Spool{Dir: t.TempDir(), Memory: 1 << 20}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	}
}

// TestOneProcess: the folder of a node belongs to one process, whatever promises rest on.
func TestOneProcess(t *testing.T) {
	for _, strict := range []bool{true, false} {
		o := away(t, strict)
		h, err := Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("strict %v: a second process opens it: %v", strict, err)
			if err == nil {
				_ = second.Close()
			}
		}
		if err := h.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
			t.Error(err)
		}
		if h, err = Open(t.Context(), o); err != nil {
			t.Fatalf("strict %v: opened again: %v", strict, err)
		}
		_ = h.Close()
	}
}

// TestManyLosses: a store that goes back all the time does not pile up work.
func TestManyLosses(t *testing.T) {
	h, err := Open(t.Context(), away(t, true))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	for range 1000 {
		h.lost(ctx, "again")
	}
	if n := runtime.NumGoroutine(); n > before+20 {
		t.Errorf("%d goroutines, %d before", n, before)
	}
	h.loss.Lock()
	noted := h.giving || h.held.Restoring()
	h.loss.Unlock()
	if !noted {
		t.Error("the loss was not noted")
	}
	cancel()
	_ = h.Close()
}

// TestOtherKey: a node whose key is another one than before does not start; one that was given a
// new key beside the old one does.
func TestOtherKey(t *testing.T) {
	o := away(t, true)
	o.Conn.Addrs = []string{miniredis.RunT(t).Addr()}
	ring := func(secrets ...string) *sealed.Ring {
		var all [][]byte
		for _, s := range secrets {
			all = append(all, []byte(s))
		}
		r, err := sealed.New(all...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const old, other = "0123456789abcdef", "fedcba9876543210"
	for _, step := range []struct {
		keys []string
		ok   bool
	}{{[]string{old}, true}, {[]string{other}, false}, {[]string{old}, true}, {[]string{other, old}, true}, {[]string{other}, true}, {[]string{old}, false}} {
		o.Ring = ring(step.keys...)
		h, err := Open(t.Context(), o)
		if (err == nil) != step.ok || err != nil && !strings.Contains(err.Error(), "store.key_file") {
			t.Errorf("keys %q: %v", step.keys, err)
		}
		if err == nil {
			_ = h.Close()
		}
	}
}
