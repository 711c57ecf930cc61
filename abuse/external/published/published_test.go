package published_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external/order"
	"postern/abuse/external/published"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

var anna = cases.Actor{Name: "anna", Role: flow.Agent}

type world struct {
	*published.Desk
	t       *testing.T
	now     time.Time
	blocked map[string]order.Block
	mail    map[string][2]int // good and bad mails by address
	alarms  map[string]bool
}

func (w *world) Apply(_ context.Context, _ string, add, remove []order.Block) error {
	for _, b := range add {
		w.blocked[b.Value] = b
	}
	for _, b := range remove {
		delete(w.blocked, b.Value)
	}
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return worldWith(t, set)
}

func worldWith(t *testing.T, set *calendar.Set) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC), blocked: map[string]order.Block{}, mail: map[string][2]int{"192.0.2.200": {5000, 10}}, alarms: map[string]bool{}}
	w.Desk = &published.Desk{
		Home: &entities.Memory{Now: func() time.Time { return w.now }}, Lists: w, Calendar: func() *calendar.Calendar { return set.Team("") }, Now: func() time.Time { return w.now },
		Protected: func() order.Protected {
			return order.Protected{Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.25/32")}}
		},
		Accepted: func(_ context.Context, since time.Time, f func(netip.Addr, bool) error) error {
			if want := w.now.AddDate(0, 0, -7); !since.Equal(want) {
				t.Errorf("since %s, want %s", since, want)
			}
			for ip, n := range w.mail {
				for i, count := range n {
					for range count {
						if err := f(netip.MustParseAddr(ip), i == 0); err != nil {
							return err
						}
					}
				}
			}
			return nil
		},
		Alarm: func(_ context.Context, key, _ string, over bool) { w.alarms[key] = !over },
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
	}
	return w
}

func (w *world) take(file string) published.Edition {
	w.t.Helper()
	e, err := w.Import(w.t.Context(), anna, "national", []byte(file), nil, w.now.Add(-time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// old makes an edition one of before there were codes.
func (w *world) old(id string) {
	w.t.Helper()
	editions := entity.Table[published.Edition]{Store: w.Home, Kind: "published-list", ID: func(e *published.Edition) string { return e.ID }}
	if _, err := editions.Change(w.t.Context(), id, func(e *published.Edition) error { e.Said = nil; return nil }); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tick() {
	w.t.Helper()
	if err := w.Tick(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// list writes n addresses from 198.51.100.1 on.
func list(n int) string {
	var b strings.Builder
	a := netip.MustParseAddr("198.51.100.1")
	for range n {
		fmt.Fprintf(&b, "%s ; spam server\r\n", a)
		a = a.Next()
	}
	return b.String()
}

// A list of 295 addresses, one of ours and a /8 among them: those two are refused, the rest
// is live within a business day, each with the rule by which it ends.
func TestAPublishedList(t *testing.T) {
	w := newWorld(t)
	e := w.take("# a list\n" + list(293) + "203.0.113.25\n58.0.0.0/8 # all of it\n")
	if e.Count != 293 || e.Adds != 293 || e.Refusals != 2 || len(e.Refused) != 2 || e.Refused[0].Line != 295 || !strings.Contains(e.Refused[0].Why, "our own") || !strings.Contains(e.Refused[1].Why, "larger than /16") {
		t.Fatalf("%+v", e)
	}
	if e.Trial.Mails != 5010 || e.Trial.Ham != 5000 || e.Trial.Wrong != 0 || e.Trial.Days != 7 || len(e.Person) != 0 || len(w.blocked) != 0 {
		t.Fatalf("%+v", e)
	}
	w.tick()
	e, err := w.Get(t.Context(), e.ID)
	if err != nil || e.State != published.Applied || e.Late || e.Applied.After(e.Due) || e.Published.IsZero() || e.Imported.IsZero() || len(w.blocked) != 293 {
		t.Fatalf("%+v %v", e, err)
	}
	for _, b := range w.blocked {
		if b.Rule != order.WhenDropped || b.Until.IsZero() || b.By == "" || !strings.Contains(b.Why, "national") {
			t.Fatalf("%+v", b)
		}
	}
	if _, ok := w.blocked["203.0.113.25"]; ok {
		t.Error("our own address is blocked")
	}
	w.now = w.now.Add(24 * time.Hour)
	e = w.take(list(200) + "192.0.2.1\n192.0.2.1\n")
	if e.Adds != 1 || e.Removes != 93 || e.Added[0] != "192.0.2.1" || len(e.Person) != 0 {
		t.Fatalf("%+v", e)
	}
	w.tick()
	if len(w.blocked) != 201 {
		t.Errorf("%d entries", len(w.blocked))
	}
	all, _, err := w.List(t.Context(), "", 10)
	if err != nil || len(all) != 2 || all[1].State != published.Replaced {
		t.Errorf("%+v %v", all, err)
	}
}

func TestAPersonHasToAgree(t *testing.T) {
	w := newWorld(t)
	w.mail["198.51.100.3"] = [2]int{6, 0} // 6 of 5006 is more than 0.1 %
	e := w.take(list(100))
	if len(e.Person) != 1 || e.Trial.Wrong != 6 || e.Trial.Some[0] != "198.51.100.3" {
		t.Fatalf("%+v", e)
	}
	w.tick()
	if len(w.blocked) != 0 || len(w.alarms) != 0 {
		t.Fatal("it took effect by itself")
	}
	w.now = w.now.Add(48 * time.Hour)
	w.tick()
	w.tick()
	if !w.alarms["list-"+e.ID] {
		t.Error("nobody heard that it waits")
	}
	for who, why := range map[cases.Actor]string{cases.Machine(): "so", anna: " "} {
		if _, err := w.Desk.Apply(t.Context(), who, e.ID, why); !errors.Is(err, published.ErrPerson) {
			t.Error(err)
		}
	}
	e, err := w.Desk.Apply(t.Context(), anna, e.ID, "the six are newsletters")
	if err != nil || !e.Late || e.AgreedBy != "anna" || len(w.blocked) != 100 || w.alarms["list-"+e.ID] {
		t.Fatalf("%+v %v", e, err)
	}
	// More than half of it gone.
	w.mail = map[string][2]int{}
	w.now = w.now.Add(24 * time.Hour)
	if e = w.take(list(49)); len(e.Person) != 1 || !strings.Contains(e.Person[0], "from 100 to 49") {
		t.Fatalf("%+v", e)
	}
	if len(e.Said) != 1 || e.Said[0].Code != "published.shrinks" || e.Said[0].Values["before"] != int64(100) || e.Said[0].English != "" {
		t.Errorf("the reason is kept as %+v", e.Said)
	}
	w.old(e.ID)
	if _, err := w.Desk.Apply(t.Context(), anna, e.ID, ""); !errors.Is(err, published.ErrPerson) || !strings.Contains(err.Error(), "it shrinks") || !strings.Contains(err.Error(), "from 100 to 49") {
		t.Errorf("an edition from before there were codes: %v", err)
	}
	if e, err = w.Drop(t.Context(), anna, e.ID, "cut off"); err != nil || e.State != published.Dropped {
		t.Fatal(e, err)
	}
	if _, err := w.Desk.Apply(t.Context(), anna, e.ID, "all the same"); !errors.Is(err, published.ErrFile) {
		t.Error(err)
	}
}

func TestFilesThatCannotBeTaken(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	key, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Keys = map[string]ed25519.PublicKey{"signed": key}
	good := []byte("# Date: 2026-06-08T08:00:00Z\n" + list(3))
	e, err := w.Import(ctx, anna, "signed", good, ed25519.Sign(secret, good), time.Time{})
	if err != nil || !e.Signed || e.Published.Hour() != 8 {
		t.Fatalf("%+v %v", e, err)
	}
	if _, err := w.Desk.Apply(ctx, anna, e.ID, ""); err != nil {
		t.Fatal(err)
	}
	older := []byte("# Date: 2026-06-08T07:00:00Z\n" + list(5))
	for want, f := range map[string]func() error{
		"signature": func() error { _, err := w.Import(ctx, anna, "signed", good, []byte("x"), time.Time{}); return err },
		"the one in force": func() error {
			_, err := w.Import(ctx, anna, "signed", older, ed25519.Sign(secret, older), time.Time{})
			return err
		},
		"a word of ASCII": func() error { _, err := w.Import(ctx, anna, "a b", good, nil, time.Time{}); return err },
		"when was it":     func() error { _, err := w.Import(ctx, anna, "a", []byte(list(1)), nil, time.Time{}); return err },
		"time to come":    func() error { _, err := w.Import(ctx, anna, "a", good, nil, w.now.Add(time.Hour)); return err },
		"no entry":        func() error { _, err := w.Import(ctx, anna, "a", []byte("10.0.0.1\nhello\n"), nil, w.now); return err },
		"at most 4194304": func() error { _, err := w.Import(ctx, anna, "a", make([]byte, 4<<20+1), nil, w.now); return err },
		"a line is longer": func() error {
			_, err := w.Import(ctx, anna, "a", []byte(strings.Repeat("x", 70000)), nil, w.now)
			return err
		},
		"more than 50000": func() error { _, err := w.Import(ctx, anna, "a", []byte(list(50001)), nil, w.now); return err },
	} {
		if err := f(); !errors.Is(err, published.ErrFile) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	for i, name := range []string{"other", "third", "third"} {
		if _, err := w.Import(ctx, anna, name, good, nil, time.Time{}); (err == nil) != (i < 2) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte("# Date: 2026-06-08T08:00:00Z\n198.51.100.1 ; x\n198.51.100.0/24\n::1\n"))
	set, err := calendar.Open("", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		w := worldWith(t, set)
		w.mail = nil
		e, err := w.Import(t.Context(), anna, "fuzz", file, nil, w.now.Add(-time.Hour))
		if err != nil {
			return
		}
		if _, err := w.Desk.Apply(t.Context(), anna, e.ID, "fuzz"); err != nil {
			t.Fatal(err)
		}
		if len(w.blocked) != e.Count {
			t.Errorf("%d blocked, %d counted", len(w.blocked), e.Count)
		}
		for v := range w.blocked {
			p, err := netip.ParsePrefix(v)
			if ip, ipErr := netip.ParseAddr(v); ipErr == nil {
				p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
			}
			if err != nil || p.Contains(netip.MustParseAddr("203.0.113.25")) || p.Bits() < 16 {
				t.Errorf("%q is blocked", v)
			}
		}
	})
}
