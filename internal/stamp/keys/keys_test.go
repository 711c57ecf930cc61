package keys_test

import (
	"context"
	"crypto/rsa"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/stamp/keys"
)

// clock is a clock that stands.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// zone is a DNS of text records; a name in down does not answer.
type zone struct {
	texts map[string][]string
	down  map[string]bool
}

func newZone() *zone { return &zone{map[string][]string{}, map[string]bool{}} }

func (z *zone) TXT(_ context.Context, name string) ([]string, error) {
	if z.down[name] {
		return nil, &net.DNSError{Err: "no answer", Name: name, IsTemporary: true}
	}
	if t := z.texts[name]; t != nil {
		return t, nil
	}
	return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
}

func (z *zone) publish(all ...keys.Key) {
	for _, k := range all {
		r := k.Record()
		z.texts[r.Name] = []string{r.Text}
	}
}

func open(t *testing.T, dir string, c *clock) *keys.Store {
	t.Helper()
	s, err := keys.Open(dir, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t *testing.T, s *keys.Store, domain string, n keys.New) keys.Key {
	t.Helper()
	k, err := s.Add(domain, n)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// signing are the selectors that sign for a domain.
func signing(t *testing.T, s *keys.Store, domain string) string {
	t.Helper()
	all, err := s.Active(domain)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range all {
		names = append(names, p.Selector)
	}
	return strings.Join(names, " ")
}

// states are the keys of a domain as "selector state".
func states(t *testing.T, s *keys.Store, domain string) string {
	t.Helper()
	all, err := s.Of(domain)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, k := range all {
		words = append(words, k.Selector+" "+string(k.State))
	}
	return strings.Join(words, ", ")
}

func TestLifeOfAKey(t *testing.T) {
	c, z := newClock(), newZone()
	dir := t.TempDir()
	s := open(t, dir, c)
	look := func(want string, changes int) {
		t.Helper()
		_, done, err := s.Look(t.Context(), z, "example.com")
		if err != nil || len(done) != changes {
			t.Fatalf("%d changes, want %d: %v", len(done), changes, err)
		}
		if got := states(t, s, "example.com"); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
		if got := states(t, open(t, dir, c), "example.com"); got != want { // and so on disk
			t.Fatalf("on disk %s, want %s", got, want)
		}
	}
	first := add(t, s, "Example.COM.", keys.New{})
	if first.Selector != "r20261122" || first.Domain != "example.com" || first.Bits != 2048 || first.Algorithm != keys.RSA {
		t.Fatalf("%+v", first)
	}
	look("r20261122 pending", 0)
	if got := signing(t, s, "example.com"); got != "" {
		t.Fatalf("%s signs before its record is there", got)
	}
	z.publish(first)
	look("r20261122 active", 1)
	if got := signing(t, s, "EXAMPLE.com"); got != "r20261122" {
		t.Fatalf("%q", got)
	}
	for range 2 { // the second asks for nothing new
		next, err := s.Rotate("example.com")
		if err != nil || len(next) != 1 || next[0].Selector != "r20261122b" || next[0].State != keys.Pending {
			t.Fatalf("%+v %v", next, err)
		}
	}
	look("r20261122 active, r20261122b pending", 0)
	if got := signing(t, s, "example.com"); got != "r20261122" {
		t.Fatalf("%q signs while the next waits", got)
	}
	c.forward(24 * time.Hour)
	all, _ := s.Of("example.com")
	z.publish(all...)
	look("r20261122 retired, r20261122b active", 2)
	if got := signing(t, s, "example.com"); got != "r20261122b" {
		t.Fatalf("%q", got)
	}
	remove := func(selector string, kind error) {
		t.Helper()
		if _, err := s.Remove("example.com", selector); !errors.Is(err, kind) {
			t.Fatalf("remove %s: %v, want %v", selector, err, kind)
		}
	}
	remove("r20261122b", keys.ErrConflict)
	c.forward(keys.KeepRetired - time.Second)
	remove("r20261122", keys.ErrConflict)
	c.forward(time.Second)
	remove("r20261122", nil)
	remove("r20261122", keys.ErrNotFound)
	if _, err := os.Stat(filepath.Join(dir, "example.com", "r20261122.pem")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the private key of a removed key is still there: %v", err)
	}
	look("r20261122b active", 0)
	if _, err := s.Retire("example.com", "R20261122B"); err != nil {
		t.Fatal(err)
	}
	look("r20261122b retired", 0)
	if got := signing(t, s, "example.com"); got != "" {
		t.Errorf("%q signs after it retired", got)
	}
	if _, err := s.Rotate("example.com"); !errors.Is(err, keys.ErrNotFound) {
		t.Errorf("nothing to rotate: %v", err)
	}
}

// One key of each kind signs side by side, RSA first; a rotation takes both.
func TestTwoAlgorithms(t *testing.T) {
	c, z := newClock(), newZone()
	s := open(t, t.TempDir(), c)
	z.publish(add(t, s, "example.com", keys.New{Algorithm: keys.Ed25519}), add(t, s, "example.com", keys.New{Selector: "Main.Two", Bits: 3072}))
	if _, done, err := s.Look(t.Context(), z, "example.com"); err != nil || len(done) != 2 {
		t.Fatalf("%v %v", done, err)
	}
	if got := signing(t, s, "example.com"); got != "main.two e20261122" {
		t.Fatalf("%q", got)
	}
	next, err := s.Rotate("example.com")
	if err != nil || len(next) != 2 {
		t.Fatalf("%v %v", next, err)
	}
	for _, k := range next {
		if k.Algorithm == keys.RSA && k.Bits != 3072 || k.Algorithm == keys.Ed25519 && k.Bits != 256 {
			t.Errorf("the successor has %d bits: %+v", k.Bits, k)
		}
	}
	z.publish(next[0])
	if _, done, err := s.Look(t.Context(), z, "example.com"); err != nil || len(done) != 2 {
		t.Fatalf("%v %v", done, err)
	}
	all, err := s.Active("example.com")
	if err != nil || len(all) != 2 {
		t.Fatalf("%v %v", all, err)
	}
	if key, ok := all[0].Signer.(*rsa.PrivateKey); !ok || key.N.BitLen() != 3072 {
		t.Errorf("RSA stands first: %T", all[0].Signer)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := open(t, t.TempDir(), newClock())
	add(t, s, "example.com", keys.New{Selector: "a"})
	for _, d := range []string{"", "com", "..", "../x.y", "a b.example", "exa\x00mple.com", ".hidden.example", "x/y.example", strings.Repeat("a.", 130) + "example"} {
		if _, err := s.Add(d, keys.New{}); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("domain %q: %v", d, err)
		}
		if all, err := s.Active(d); err != nil || all != nil {
			t.Errorf("domain %q: %v %v", d, all, err)
		}
	}
	for _, n := range []keys.New{
		{Bits: 1024}, {Bits: 2047}, {Bits: 4097}, {Bits: -1}, {Algorithm: "rsa-sha1"}, {Algorithm: "dsa"}, {Algorithm: keys.Ed25519, Bits: 512},
		{Algorithm: keys.Ed25519, Selector: "a/b"}, {Algorithm: keys.Ed25519, Selector: ".."}, {Algorithm: keys.Ed25519, Selector: "-a"},
		{Algorithm: keys.Ed25519, Selector: "a."}, {Algorithm: keys.Ed25519, Selector: strings.Repeat("a", 64)}, {Algorithm: keys.Ed25519, Selector: strings.Repeat("abcd.", 20) + "x"},
	} {
		if _, err := s.Add("other.example", n); !errors.Is(err, keys.ErrInvalid) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"a second pending key", func() error { _, err := s.Add("example.com", keys.New{Selector: "b"}); return err }},
		{"the same selector", func() error {
			_, err := s.Add("example.com", keys.New{Selector: "A", Algorithm: keys.Ed25519})
			return err
		}},
		{"a pending key retires", func() error { _, err := s.Retire("example.com", "a"); return err }},
		{"active twice", func() error {
			if _, err := s.SetActive("example.com", "a"); err != nil {
				return err
			}
			_, err := s.SetActive("example.com", "a")
			return err
		}},
		{"a second active key", func() error { _, err := s.Add("example.com", keys.New{Selector: "c"}); return err }},
	} {
		if err := c.do(); !errors.Is(err, keys.ErrConflict) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name, f := range map[string]func() error{
		"no such selector": func() error { _, err := s.SetActive("example.com", "zz"); return err },
		"no such domain":   func() error { _, err := s.Retire("nothing.example", "a"); return err },
		"nothing there":    func() error { _, err := s.Remove("nothing.example", "a"); return err },
	} {
		if err := f(); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := s.Domains(); len(got) != 1 || got[0] != "example.com" {
		t.Errorf("refusals left %v", got)
	}
}

// Whatever the DNS does, only a record that is right makes a key sign.
func TestLookIsNotFooled(t *testing.T) {
	c, z := newClock(), newZone()
	s := open(t, t.TempDir(), c)
	k := add(t, s, "example.com", keys.New{Algorithm: keys.Ed25519})
	name := k.Record().Name
	z.down[name] = true
	all, done, err := s.Look(t.Context(), z, "example.com")
	if err != nil || len(done) != 0 || len(all) != 1 || !all[0].Unknown || all[0].Published {
		t.Fatalf("%+v %v %v", all, done, err)
	}
	z.down[name] = false
	z.texts[name] = []string{strings.Replace(k.Record().Text, k.Public, "AAAA"+k.Public[4:], 1)}
	all, done, err = s.Look(t.Context(), z, "example.com")
	if err != nil || len(done) != 0 || all[0].Published || all[0].Unknown || all[0].Problem != "the record holds another key" {
		t.Fatalf("%+v %v %v", all, done, err)
	}
	if got := states(t, s, "example.com"); got != "e20261122 pending" {
		t.Error(got)
	}
	if _, _, err := s.Look(t.Context(), z, "not a domain"); !errors.Is(err, keys.ErrInvalid) {
		t.Error(err)
	}
}

// Two processes see each other's changes, and lose none.
func TestTwoProcesses(t *testing.T) {
	c := newClock()
	dir := t.TempDir()
	one, two := open(t, dir, c), open(t, dir, c)
	add(t, one, "example.com", keys.New{Algorithm: keys.Ed25519})
	if _, err := one.SetActive("example.com", "e20261122"); err != nil {
		t.Fatal(err)
	}
	if got := signing(t, two, "example.com"); got != "" {
		t.Fatalf("the disk was asked again at once: %q", got)
	}
	c.forward(2 * time.Second)
	if got := signing(t, two, "example.com"); got != "e20261122" {
		t.Fatalf("%q", got)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	took := map[string]int{}
	for i := range 16 {
		wg.Go(func() {
			s, domain := []*keys.Store{one, two}[i%2], []string{"a.example", "b.example"}[i/2%2]
			if _, err := s.Add(domain, keys.New{Algorithm: keys.Ed25519}); err == nil {
				mu.Lock()
				took[domain]++
				mu.Unlock()
			} else if !errors.Is(err, keys.ErrConflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if took["a.example"] != 1 || took["b.example"] != 1 {
		t.Errorf("%v", took)
	}
	c.forward(2 * time.Second)
	for _, s := range []*keys.Store{one, two} {
		if err := s.ReloadIfChanged(); err != nil {
			t.Error(err)
		}
		if got := s.Domains(); len(got) != 3 {
			t.Errorf("%v", got)
		}
	}
}
