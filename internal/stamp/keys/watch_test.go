package keys_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/stamp/keys"
)

// said keeps the alerts that stand, and the changes that were audited.
type said struct {
	alerts  map[string]string
	changes []string
	fail    bool
}

func (s *said) watch(store *keys.Store, z *zone) *keys.Watch {
	return &keys.Watch{
		Store: store, Resolver: z, Log: slog.New(slog.DiscardHandler),
		Changed: func(_ context.Context, c keys.Change) error {
			s.changes = append(s.changes, c.After.Selector+" "+string(c.Before.State)+" to "+string(c.After.State))
			if s.fail {
				return errors.New("no audit")
			}
			return nil
		},
		Alert: func(key, text string, over bool) {
			if delete(s.alerts, key); !over {
				s.alerts[key] = text
			}
		},
	}
}

func TestWatch(t *testing.T) {
	c, z := newClock(), newZone()
	dir := t.TempDir()
	store := open(t, dir, c)
	k := add(t, store, "example.com", keys.New{Algorithm: keys.Ed25519})
	name := k.Record().Name
	got := &said{alerts: map[string]string{}, fail: true}
	w := got.watch(store, z)
	look := func(want ...string) {
		t.Helper()
		w.Look(t.Context())
		if have := slices.Sorted(maps.Keys(got.alerts)); !slices.Equal(have, want) {
			t.Fatalf("alerts %v, want %v", got.alerts, want)
		}
	}
	look() // pending and missing: nobody is hurt
	z.publish(k)
	look()
	if strings.Join(got.changes, ", ") != "e20261122 pending to active" {
		t.Fatalf("%q", got.changes)
	}
	right := z.texts[name]
	z.texts[name] = []string{"v=DKIM1; p="}
	look("dkim-record:" + name)
	if text := got.alerts["dkim-record:"+name]; !strings.Contains(text, "revoked") {
		t.Error(text)
	}
	z.down[name] = true
	look("dkim-record:" + name) // the DNS is away: what was known stands
	z.down[name], z.texts[name] = false, right
	look()
	z.down[name] = true
	look()
	z.down[name] = false

	next, err := store.Rotate("example.com")
	if err != nil {
		t.Fatal(err)
	}
	z.publish(next...)
	look()
	if want := "e20261122 pending to active, e20261122 active to retired, e20261122b pending to active"; strings.Join(got.changes, ", ") != want {
		t.Errorf("%q", got.changes)
	}
	delete(z.texts, name)
	look() // a retired key signs nothing
	path := filepath.Join(dir, "example.com", "keys.json")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	look("dkim-files")
	if text := got.alerts["dkim-files"]; !strings.Contains(text, path) {
		t.Error(text)
	}
}

func TestWatchRuns(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		store, err := keys.Open(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		z := newZone()
		got := &said{alerts: map[string]string{}}
		k := add(t, store, "example.com", keys.New{Algorithm: keys.Ed25519})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- got.watch(store, z).Run(ctx) }()
		synctest.Wait()
		z.publish(k)
		time.Sleep(keys.LookEvery - time.Second)
		if signing(t, store, "example.com") != "" {
			t.Error("it looked before its time")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if signing(t, store, "example.com") != k.Selector {
			t.Error("it did not look within an hour")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		got.watch(store, z).Look(ctx) // ends at once
	})
}
