package quarantine_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"postern/quarantine"
)

// TestCopy sends a copy to one address: the hold stays what it was, and what is infected or
// evidence goes to nobody.
func TestCopy(t *testing.T) {
	var to [][]string
	infected, refuse := false, false
	w := newWorld(t, func(c *quarantine.Config) {
		c.Rescan = func(context.Context, quarantine.Hold, io.ReaderAt) (quarantine.ScanResult, error) {
			return quarantine.ScanResult{Infected: infected, Name: "Eicar"}, nil
		}
		c.Send = func(_ context.Context, h quarantine.Hold, _ io.ReaderAt) (string, error) {
			to = append(to, h.To)
			if refuse {
				return "", &quarantine.SendError{Reply: "550 no", Permanent: true}
			}
			return "250 taken", nil
		}
	})
	id := w.keep("a", quarantine.ByVerdict)
	before, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if reply, err := w.Copy(t.Context(), id, "olga@example.com", "olga"); err != nil || reply != "250 taken" {
		t.Fatal(reply, err)
	}
	after, err := w.Show(t.Context(), id)
	if err != nil || after.Version != before.Version || after.State != quarantine.Held || !slices.Equal(after.To, before.To) {
		t.Errorf("%+v, %v", after, err)
	}
	if len(to) != 1 || !slices.Equal(to[0], []string{"olga@example.com"}) {
		t.Errorf("sent to %v", to)
	}
	if !slices.ContainsFunc(w.audit, func(s string) bool { return strings.Contains(s, "release-copy") }) {
		t.Errorf("audit: %v", w.audit)
	}
	refuse = true
	_, err = w.Copy(t.Context(), id, "olga@example.com", "olga")
	wantErr(t, "refused", err, quarantine.ErrNotSent)
	infected, to = true, nil
	_, err = w.Copy(t.Context(), id, "olga@example.com", "olga")
	wantErr(t, "infected", err, quarantine.ErrNotSent)
	_, err = w.Copy(t.Context(), w.keep("e", quarantine.Evidence), "olga@example.com", "olga")
	wantErr(t, "evidence", err, quarantine.ErrNotReleasable)
	_, err = w.Copy(t.Context(), "none", "olga@example.com", "olga")
	wantErr(t, "no hold", err, quarantine.ErrNotFound)
	if _, err := w.Delete(t.Context(), id, "olga", ""); err != nil {
		t.Fatal(err)
	}
	_, err = w.Copy(t.Context(), id, "olga@example.com", "olga")
	wantErr(t, "ended", err, quarantine.ErrEnded)
	if len(to) != 0 {
		t.Errorf("sent to %v", to)
	}
}

// TestCount counts with a store that counts, and with one that only lists.
func TestCount(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"a", "b", "c"} {
		w.keep(body, quarantine.ByVerdict)
	}
	type store struct{ quarantine.Store }
	plain := quarantine.New(quarantine.Config{Store: store{w.store}})
	for limit := 1; limit < 6; limit++ {
		for name, q := range map[string]*quarantine.Quarantine{"counts": w.Quarantine, "lists": plain} {
			if n, err := q.Count(t.Context(), quarantine.Query{}, limit); n != min(limit, 3) || err != nil {
				t.Errorf("%s, at most %d: %d, %v", name, limit, n, err)
			}
		}
	}
}
