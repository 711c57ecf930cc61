package holdcalls_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/holdcalls"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// counted counts how often and how far bodies are read.
type counted struct {
	quarantine.Store
	opened int
	read   int64
	closed int
}

func (c *counted) Body(ctx context.Context, id string) (io.ReadCloser, error) {
	r, err := c.Store.Body(ctx, id)
	if err == nil {
		c.opened++
	}
	return &counting{r, c}, err
}

type counting struct {
	io.ReadCloser
	c *counted
}

func (r *counting) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.c.read += int64(n)
	return n, err
}

func (r *counting) Close() error { r.c.closed++; return r.ReadCloser.Close() }

// rawWorld has the calls over a home, and what the audit was told.
type rawWorld struct {
	*control.Server
	store *counted
	audit []string
}

func newRaw(t *testing.T) *rawWorld {
	t.Helper()
	home, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	w := &rawWorld{Server: control.NewServer(), store: &counted{Store: home.Holds()}}
	holdcalls.Parts{
		Now: time.Now, Quarantine: quarantine.New(quarantine.Config{Store: w.store, Now: time.Now}),
		Audit: func(_ context.Context, actor, action, object string, _, after any, note string) error {
			w.audit = append(w.audit, fmt.Sprint(actor, " ", action, " ", object, " ", after, ": ", note))
			return nil
		},
	}.Handle(w.Server)
	return w
}

func (w *rawWorld) keep(t *testing.T, n int, body string, symbols ...string) quarantine.Hold {
	t.Helper()
	h := storetest.Hold(n, body)
	for _, s := range symbols {
		h.Reasons = append(h.Reasons, quarantine.Reason{Symbol: s})
	}
	if _, err := w.store.Put(t.Context(), h, strings.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Confirm(t.Context(), []string{h.ID}); err != nil {
		t.Fatal(err)
	}
	return h
}

// TestPieces of a large message are read once in all, wherever they begin.
func TestPieces(t *testing.T) {
	w := newRaw(t)
	body := strings.Repeat("0123456789abcde\n", 4<<20/16)
	h := w.keep(t, 0, body)
	const step = 128 << 10
	var got bytes.Buffer
	for more := true; more; {
		var out calls.Raw
		if err := w.Call(t.Context(), "quarantine.raw", calls.Piece{ID: h.ID, Offset: int64(got.Len()), Limit: step}, &out); err != nil {
			t.Fatal(err)
		}
		got.Write(out.Body)
		more = out.More
	}
	if got.String() != body || w.store.opened != 1 || w.store.closed != 1 || w.store.read != int64(len(body)) {
		t.Errorf("%d bytes of %d; opened %d times, closed %d, %d read", got.Len(), len(body), w.store.opened, w.store.closed, w.store.read)
	}
	for _, at := range []int64{3 << 20, 1 << 20, 3<<20 + 77, int64(len(body)) - 5, int64(len(body)), int64(len(body)) + 9} {
		var out calls.Raw
		if err := w.Call(t.Context(), "quarantine.raw", calls.Piece{ID: h.ID, Offset: at, Limit: 10}, &out); err != nil || string(out.Body) != body[min(at, int64(len(body))):min(at+10, int64(len(body)))] || out.More != (at+10 < int64(len(body))) {
			t.Errorf("at %d: %q, more %v, %v", at, out.Body, out.More, err)
		}
	}
	if _, err := quarantine.New(quarantine.Config{Store: w.store, Now: time.Now}).Delete(t.Context(), h.ID, "olga", ""); err != nil {
		t.Fatal(err)
	}
	if err := w.Call(t.Context(), "quarantine.raw", calls.Piece{ID: h.ID, Offset: step, Limit: step}, nil); err == nil || !strings.Contains(err.Error(), "no body") {
		t.Errorf("a message that was deleted is read on: %v", err)
	}
}

// TestOpenMessagesAreFew however many are begun.
func TestOpenMessagesAreFew(t *testing.T) {
	w := newRaw(t)
	for n := range 30 {
		h := w.keep(t, n, strings.Repeat("x", 1000))
		if err := w.Call(t.Context(), "quarantine.raw", calls.Piece{ID: h.ID, Limit: 10}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if left := w.store.opened - w.store.closed; w.store.opened != 30 || left > 8 {
		t.Errorf("%d of %d are left open", left, w.store.opened)
	}
}

// TestInfected bytes go to who answers for others, with a reason that the audit has; what may be
// looked at has no file.
func TestInfected(t *testing.T) {
	const body = "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nPlease pay\r\n--b\r\nContent-Type: application/zip\r\n\r\nEVIL\r\n--b--\r\n"
	as := func(role people.Role, scopes ...people.Scope) context.Context {
		if scopes == nil {
			scopes = role.Scopes()
		}
		return people.With(control.WithActor(t.Context(), "the "+string(role)), people.Principal{Name: "x", Role: role, Scopes: scopes})
	}
	for _, symbol := range []string{"VIRUS", "STRIP_FAILED"} {
		w := newRaw(t)
		h := w.keep(t, 0, body, symbol)
		for _, c := range []struct {
			ctx  context.Context
			note string
			want string
		}{
			{as(people.Agent), "I need it", "by a lead or a postmaster alone"},
			{as(people.Auditor), "I need it", "by a lead or a postmaster alone"},
			{as(people.Lead, people.HoldsRead), "a token of less", "by a lead or a postmaster alone"},
			{as(people.Lead), "", "note: a virus was found"}, {as(people.Lead), "  ", "note: a virus was found"},
			{as(people.Postmaster), strings.Repeat("x", 501), "note: a virus was found"},
			{t.Context(), "", "note: a virus was found"},
		} {
			if err := w.Call(c.ctx, "quarantine.raw", calls.Piece{ID: h.ID, Note: c.note}, nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: %v, want %q", c.note, err, c.want)
			}
		}
		if w.store.opened > 0 || len(w.audit) > 0 {
			t.Errorf("who was refused read it: %d, %q", w.store.opened, w.audit)
		}
		var out calls.Raw
		if err := w.Call(as(people.Lead), "quarantine.raw", calls.Piece{ID: h.ID, Note: "for the maker"}, &out); err != nil || string(out.Body) != body {
			t.Errorf("%v %q", err, out.Body)
		}
		if err := w.Call(as(people.Postmaster), "quarantine.raw", calls.Piece{ID: h.ID, Offset: 5, Limit: 10, Note: "some"}, &out); err != nil || string(out.Body) != body[5:15] {
			t.Errorf("%v %q", err, out.Body)
		}
		want := []string{"the abuse-lead hold-raw " + h.ID + " all of it: for the maker", fmt.Sprintf("the postmaster hold-raw %s from byte 5, 10 of %d: some", h.ID, len(body))}
		if !slices.Equal(w.audit, want) {
			t.Errorf("the audit has %q", w.audit)
		}
		var seen calls.Seen
		if err := w.Call(as(people.Agent), "quarantine.view", calls.ID{ID: h.ID}, &seen); err != nil || !seen.Texts || strings.Contains(string(seen.Body), "EVIL") || !strings.Contains(string(seen.Body), "Please pay") {
			t.Errorf("%v %q", err, seen.Body)
		}
	}
	w := newRaw(t)
	h := w.keep(t, 0, body)
	var seen calls.Seen
	if err := w.Call(as(people.Agent), "quarantine.view", calls.ID{ID: h.ID}, &seen); err != nil || seen.Texts || seen.More || string(seen.Body) != body {
		t.Errorf("%v %+v", err, seen)
	}
	if err := w.Call(as(people.Agent), "quarantine.raw", calls.Piece{ID: h.ID}, nil); err != nil || len(w.audit) > 0 {
		t.Errorf("a clean one: %v, %q", err, w.audit)
	}
}
