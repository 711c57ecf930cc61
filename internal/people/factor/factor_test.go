package factor_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/people/factor"
)

type world struct {
	*factor.Book
	store *entities.Memory
	now   time.Time
	audit []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := factor.OpenKey(filepath.Join(t.TempDir(), "desk.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: time.Date(2026, 3, 4, 5, 6, 15, 0, time.UTC), store: &entities.Memory{}}
	w.Book = &factor.Book{Store: w.store, Key: key, Now: func() time.Time { return w.now }, Audit: func(_ context.Context, actor, action, object string, before, after any, note string) error {
		raw, err := json.Marshal([]any{before, after, note})
		w.audit = append(w.audit, actor+" "+action+" "+object+" "+string(raw))
		return err
	}}
	return w
}

func (w *world) code(t *testing.T, secret string, after time.Duration) string {
	t.Helper()
	c, err := totp.GenerateCode(secret, w.now.Add(after))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// enrol puts a second factor in force; the next period has begun when it returns.
func (w *world) enrol(t *testing.T, user string) (secret string, codes []string) {
	t.Helper()
	o, err := w.Begin(t.Context(), user, "Postern")
	if err != nil {
		t.Fatal(err)
	}
	codes, err = w.Confirm(t.Context(), user, w.code(t, o.Secret, 0))
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(factor.Period)
	return o.Secret, codes
}

func TestEnrol(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	if s, err := w.Of(ctx, "olga"); s.On || err != nil {
		t.Error(s, err)
	}
	if _, err := w.Waiting(ctx, "olga", "Postern"); !errors.Is(err, factor.ErrNone) {
		t.Error(err)
	}
	o, err := w.Begin(ctx, "olga", "Postern mx1")
	if err != nil {
		t.Fatal(err)
	}
	if s, _ := w.Of(ctx, "olga"); s.On || !errors.Is(w.Use(ctx, "olga", w.code(t, o.Secret, 0)), factor.ErrDenied) {
		t.Error("in force before it was confirmed")
	}
	again, err := w.Waiting(ctx, "olga", "Postern mx1")
	if err != nil || again.Secret != o.Secret || again.URL() != o.URL() || !strings.Contains(o.URL(), "otpauth://totp/Postern%20mx1:olga?") || strings.ReplaceAll(o.Spaced(), " ", "") != o.Secret {
		t.Error(again, o, err)
	}
	if p, err := o.Picture(); err != nil || !strings.HasPrefix(p, "data:image/png;base64,") {
		t.Error(p, err)
	}
	if _, err := w.Confirm(ctx, "olga", "000000x"); !errors.Is(err, factor.ErrDenied) {
		t.Error(err)
	}
	codes, err := w.Confirm(ctx, "olga", w.code(t, o.Secret, 0))
	if err != nil || len(codes) != factor.Recovery || len(slices.Compact(slices.Sorted(slices.Values(codes)))) != factor.Recovery {
		t.Error(codes, err)
	}
	if s, err := w.Of(ctx, "olga"); !s.On || s.Left != factor.Recovery || !s.Since.Equal(w.now) || err != nil {
		t.Error(s, err)
	}
	if _, err := w.Confirm(ctx, "olga", w.code(t, o.Secret, 0)); !errors.Is(err, factor.ErrNone) {
		t.Error("confirmed twice:", err)
	}
	// Another secret begins: the first one is in force until the second one is confirmed.
	w.now = w.now.Add(factor.Period)
	if _, err := w.Begin(ctx, "olga", "Postern"); err != nil {
		t.Fatal(err)
	}
	if err := w.Use(ctx, "olga", w.code(t, o.Secret, 0)); err != nil {
		t.Error(err)
	}
	w.now = w.now.Add(factor.Pending)
	if _, err := w.Waiting(ctx, "olga", "Postern"); !errors.Is(err, factor.ErrNone) {
		t.Error("an offer waits for ever:", err)
	}
}

// TestCodesOnce has the codes of RFC 6238, 5.2: one is good once, in its period and one beside.
func TestCodesOnce(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration
		good  bool
	}{"now": {0, true}, "a clock behind": {-factor.Period, false}, "a clock ahead": {factor.Period, true}, "far behind": {-2 * factor.Period, false}, "far ahead": {2 * factor.Period, false}} {
		w := newWorld(t)
		secret, _ := w.enrol(t, "olga") // used the code of the period before
		code := w.code(t, secret, c.after)
		if err := w.Use(t.Context(), "olga", code[:3]+" "+code[3:]); (err == nil) != c.good {
			t.Error(name, err)
		}
		if err := w.Use(t.Context(), "olga", code); !errors.Is(err, factor.ErrDenied) {
			t.Error(name, "again:", err)
		}
	}
	w := newWorld(t)
	secret, _ := w.enrol(t, "olga")
	w.now = w.now.Add(factor.Period)
	if err := w.Use(t.Context(), "olga", w.code(t, secret, -factor.Period)); err != nil {
		t.Error("a clock behind by one period:", err)
	}
	if err := w.Use(t.Context(), "ivan", w.code(t, secret, 0)); !errors.Is(err, factor.ErrDenied) {
		t.Error("somebody else:", err)
	}
	for _, code := range []string{"", " ", "-", "123456789012345678901234567890123"} {
		if err := w.Use(t.Context(), "olga", code); !errors.Is(err, factor.ErrDenied) {
			t.Errorf("%q: %v", code, err)
		}
	}
}

// TestOneOfMany has the same code used by many at once: one gets in.
func TestOneOfMany(t *testing.T) {
	w := newWorld(t)
	secret, codes := w.enrol(t, "olga")
	for _, code := range []string{w.code(t, secret, 0), codes[3]} {
		var in atomic.Int32
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if w.Use(t.Context(), "olga", code) == nil {
					in.Add(1)
				}
			})
		}
		all.Wait()
		if in.Load() != 1 {
			t.Errorf("%s let in %d", code, in.Load())
		}
	}
}

func TestRecovery(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	_, codes := w.enrol(t, "olga")
	if err := w.Use(ctx, "olga", strings.ToUpper(codes[4])); err != nil {
		t.Error(err)
	}
	if err := w.Use(ctx, "olga", codes[4]); !errors.Is(err, factor.ErrDenied) {
		t.Error("twice:", err)
	}
	if s, _ := w.Of(ctx, "olga"); s.Left != factor.Recovery-1 {
		t.Error(s)
	}
	_, others := w.enrol(t, "ivan")
	if err := w.Use(ctx, "olga", others[0]); !errors.Is(err, factor.ErrDenied) {
		t.Error("of somebody else:", err)
	}
	if err := w.Reset(ctx, "root", "olga", "lost phone"); err != nil {
		t.Error(err)
	}
	if s, err := w.Of(ctx, "olga"); s.On || err != nil || w.Reset(ctx, "root", "olga", "") != nil {
		t.Error(s, err)
	}
	want := []string{`olga second-factor-on olga [null,null,""]`, `olga recovery-code olga [null,null,"a recovery code was used"]`, `ivan second-factor-on ivan [null,null,""]`, `root second-factor-off olga [null,null,"lost phone"]`}
	if !slices.Equal(w.audit, want) {
		t.Error(w.audit)
	}
}

// TestSealed looks for secrets where they are kept.
func TestSealed(t *testing.T) {
	w, ctx := newWorld(t), t.Context()
	secret, codes := w.enrol(t, "olga")
	r, err := w.store.Get(ctx, "second-factor", "olga")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(codes, secret) {
		if strings.Contains(strings.ToLower(string(r.Data)), strings.ToLower(strings.ReplaceAll(s, "-", ""))) || strings.Contains(string(r.Data), s) {
			t.Errorf("%s stands in %s", s, r.Data)
		}
	}
	other := *w.Book
	if other.Key, err = factor.OpenKey(filepath.Join(t.TempDir(), "desk.key"), true); err != nil {
		t.Fatal(err)
	}
	if err := other.Use(ctx, "olga", w.code(t, secret, 0)); !errors.Is(err, factor.ErrKey) {
		t.Error("another key:", err)
	}
	r.ID, r.Version = "ivan", 1 // who can write the store gives a secret to somebody else
	r.Data = []byte(strings.ReplaceAll(string(r.Data), "olga", "ivan"))
	if err := w.store.Put(ctx, r); err != nil {
		t.Fatal(err)
	}
	if err := w.Use(ctx, "ivan", w.code(t, secret, 0)); !errors.Is(err, factor.ErrKey) {
		t.Error("a secret that was moved:", err)
	}
	w.store.Fail = func() error { return entity.ErrFull }
	if _, err := w.Begin(ctx, "petra", "Postern"); !errors.Is(err, entity.ErrFull) {
		t.Error(err)
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "desk.key")
	if _, err := factor.OpenKey(path, false); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	one, err := factor.OpenKey(path, true)
	if err != nil {
		t.Fatal(err)
	}
	two, err := factor.OpenKey(path, true)
	if err != nil || one != two || one == (factor.Key{}) {
		t.Error("another key at the next start", err)
	}
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o600 {
		t.Error(i.Mode(), err)
	}
	for _, text := range []string{"", "# nothing\n", "abcd\n", strings.Repeat("x", 64)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := factor.OpenKey(path, true); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
