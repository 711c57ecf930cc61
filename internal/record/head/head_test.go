package head_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/record/head"
)

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// chain is an audit in memory that may be tampered with.
type chain struct{ all []record.Entry }

func (c *chain) Append(_ context.Context, e record.Entry) (record.Entry, error) {
	var last record.Entry
	if len(c.all) > 0 {
		last = c.all[len(c.all)-1]
	}
	e, err := record.Seal(last, e)
	c.all = append(c.all, e)
	return e, err
}

func (c *chain) Entries(_ context.Context, after int64, limit int) ([]record.Entry, error) {
	from := min(max(after, 0), int64(len(c.all)))
	return c.all[from:min(from+int64(limit), int64(len(c.all)))], nil
}

type world struct {
	heads *head.Heads
	audit *chain
	at    time.Time
	sent  []head.Head
	fail  error
}

func start(t *testing.T) *world {
	t.Helper()
	w := &world{audit: &chain{}, at: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}
	key, err := head.Key(filepath.Join(t.TempDir(), "audit.key"), rand.Reader)
	ok(t, err)
	w.heads = &head.Heads{
		Store: &entities.Memory{}, Audit: w.audit, Key: key, Node: "mx1", Now: func() time.Time { return w.at }, File: filepath.Join(t.TempDir(), "heads"),
		Send: func(_ context.Context, h head.Head) error {
			if w.fail == nil {
				w.sent = append(w.sent, h)
			}
			return w.fail
		},
	}
	return w
}

// days writes some entries a day and signs the head of each.
func (w *world) days(t *testing.T, n int) {
	t.Helper()
	for range n {
		for i := range 3 {
			_, err := w.audit.Append(t.Context(), record.Entry{Time: w.at, Actor: "me", Action: "release", Object: fmt.Sprint(i)})
			ok(t, err)
		}
		ok(t, w.heads.Daily(t.Context()))
		ok(t, w.heads.Daily(t.Context())) // once a day is enough
		w.at = w.at.Add(24 * time.Hour)
	}
}

func (w *world) broken(t *testing.T, what string, seq int64, word string) {
	t.Helper()
	_, err := w.heads.Verify(t.Context())
	var b *record.BrokenError
	if !errors.As(err, &b) || b.Seq != seq || !strings.Contains(b.Why, word) {
		t.Errorf("%s: %v, want entry %d %q", what, err, seq, word)
	}
}

// forge writes the audit anew from an entry on, with hashes that fit.
func (w *world) forge(t *testing.T, from int) {
	t.Helper()
	old := w.audit.all
	w.audit.all = append([]record.Entry(nil), old[:from-1]...)
	for _, e := range old[from-1:] {
		e.Actor = "somebody else"
		_, err := w.audit.Append(t.Context(), e)
		ok(t, err)
	}
	_, err := record.Verify(t.Context(), w.audit)
	ok(t, err) // its own hashes do not tell
}

func TestHeads(t *testing.T) {
	w := start(t)
	ok(t, w.heads.Daily(t.Context())) // nothing to sign yet
	w.days(t, 4)
	f, err := w.heads.Verify(t.Context())
	if err != nil || f.Heads != 4 || f.Others+f.Foreign != 0 || f.Last.Seq != 12 {
		t.Errorf("%+v, %v", f, err)
	}
	if len(w.sent) != 4 || w.sent[3].Seq != 12 || w.sent[3].Hash != f.Last.Hash || !w.sent[3].Signed() {
		t.Errorf("sent: %+v", w.sent)
	}
}

func TestSentAgain(t *testing.T) {
	w := start(t)
	w.fail = errors.New("no route")
	_, err := w.audit.Append(t.Context(), record.Entry{Time: w.at, Actor: "me", Action: "x"})
	ok(t, err)
	if err := w.heads.Daily(t.Context()); !errors.Is(err, w.fail) {
		t.Error(err)
	}
	w.fail = nil
	ok(t, w.heads.Daily(t.Context()))
	if len(w.sent) != 1 {
		t.Errorf("sent: %+v", w.sent)
	}
}

// TestTampered: an audit that was cut or written anew is found by the heads, in the store or in
// the node's own file.
func TestTampered(t *testing.T) {
	for _, gone := range []string{"", "file", "store"} {
		fresh := func() *world {
			w := start(t)
			w.days(t, 4)
			switch gone {
			case "file":
				ok(t, os.Remove(w.heads.File))
			case "store":
				w.heads.Store = &entities.Memory{}
			}
			return w
		}
		w := fresh()
		w.forge(t, 5)
		w.broken(t, "written anew "+gone, 6, "written anew")
		w = fresh()
		w.audit.all = w.audit.all[:8]
		w.broken(t, "cut "+gone, 9, "cut")
		w = fresh()
		w.audit.all = nil
		w.broken(t, "emptied "+gone, 1, "cut")
		w = fresh()
		w.audit.all[4].Note = "x"
		w.broken(t, "changed "+gone, 5, "changed after it was written")
	}
}

// TestForgedHead: a head of the store that was changed is found, whoever holds the key.
func TestForgedHead(t *testing.T) {
	w := start(t)
	w.days(t, 2)
	r, err := w.heads.Store.Get(t.Context(), head.Kind, "2020-01-03")
	ok(t, err)
	r.Data, r.Version = bytes.Replace(r.Data, []byte(`"node":"mx1"`), []byte(`"node":"mx9"`), 1), r.Version+1
	ok(t, w.heads.Store.Put(t.Context(), r))
	w.broken(t, "changed head", 6, "signature")
}

// TestOtherKeys: heads of another node count apart, and those from before a move say nothing.
func TestOtherKeys(t *testing.T) {
	w := start(t)
	w.days(t, 2)
	var err error
	w.heads.Key, err = head.Key(filepath.Join(t.TempDir(), "other.key"), rand.Reader)
	ok(t, err)
	w.heads.File += ".other"
	w.days(t, 1)
	if f, err := w.heads.Verify(t.Context()); err != nil || f.Heads != 1 || f.Others != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	w.forge(t, 1)
	_, err = w.audit.Append(t.Context(), record.Entry{Time: w.at, Actor: "postern", Action: "audit-moved"})
	ok(t, err)
	if f, err := w.heads.Verify(t.Context()); err != nil || f.Foreign == 0 || f.Heads != 0 {
		t.Errorf("after a move: %+v, %v", f, err)
	}
}

func TestKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.key")
	a, err := head.Key(path, rand.Reader)
	ok(t, err)
	b, err := head.Key(path, rand.Reader)
	ok(t, err)
	if !a.Equal(b) {
		t.Error("another key")
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	ok(t, os.WriteFile(path, []byte("short"), 0o600))
	if _, err := head.Key(path, rand.Reader); err == nil {
		t.Error("a key of five bytes")
	}
}
