package storetest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/quarantine"
)

func holdsPut(t *testing.T, s quarantine.Store) {
	body := strings.Repeat("line\r\n", 5000) + "\x00\xff"
	want := Hold(1, body)
	got := put(t, s, want, body)
	want.V, want.State, want.Version = quarantine.RecordVersion, quarantine.Provisional, 1
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Put: -want +got\n%s", d)
	}
	if d := cmp.Diff(want, get(t, s, want.ID)); d != "" {
		t.Errorf("Get: -want +got\n%s", d)
	}
	if b, err := readBody(t, s, want.ID); err != nil || b != body {
		t.Errorf("Body: %d bytes, %v; want %d", len(b), err, len(body))
	}
	_, err := s.Get(t.Context(), "none-00")
	WantErr(t, "Get of nothing", err, quarantine.ErrNotFound)
	_, err = s.Body(t.Context(), "none-00")
	WantErr(t, "Body of nothing", err, quarantine.ErrNotFound)
}

func holdsDigest(t *testing.T, s quarantine.Store) {
	for _, body := range []string{"", "bodY", "body "} {
		_, err := s.Put(t.Context(), Hold(1, "body"), strings.NewReader(body))
		WantErr(t, fmt.Sprintf("Put of %q", body), err, quarantine.ErrCorrupt)
	}
	broken := io.MultiReader(strings.NewReader("bo"), errReader{})
	_, err := s.Put(t.Context(), Hold(1, "body"), broken)
	WantErr(t, "Put from a broken reader", err, io.ErrUnexpectedEOF)
	if st, err := s.Stats(t.Context()); err != nil || st.Bodies != 0 || st.Bytes != 0 {
		t.Errorf("after refused bodies: %+v, %v", st, err)
	}
	put(t, s, Hold(1, "body"), "body")
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func holdsSameKey(t *testing.T, s quarantine.Store) {
	first := confirmed(t, s, Hold(1, "body"), "body")
	again := Hold(2, "body")
	again.Key = first.Key
	if got := put(t, s, again, "body"); got.ID != first.ID || got.State != quarantine.Held {
		t.Errorf("same key: %s %s, want %s held", got.ID, got.State, first.ID)
	}
	first.State, first.Ended = quarantine.Released, &quarantine.Ended{At: again.At, By: "a"}
	change(t, s, first)
	again.At = again.At.Add(quarantine.KeyKept)
	if got := put(t, s, again, "body"); got.ID != first.ID {
		t.Errorf("within 7 days of the end: %s, want %s", got.ID, first.ID)
	}
	again.At = again.At.Add(time.Millisecond)
	if got := put(t, s, again, "body"); got.ID != again.ID {
		t.Errorf("after 7 days: %s, want a new hold", got.ID)
	}
	none := Hold(3, "body")
	none.Key = ""
	put(t, s, none, "body")
	none.ID = "other-00"
	if got := put(t, s, none, "body"); got.ID != "other-00" {
		t.Error("holds without a key are one hold")
	}
}

func holdsOwners(t *testing.T, s quarantine.Store) {
	a := put(t, s, Hold(1, "body"), "body")
	again := Hold(2, "body")
	again.Key = a.Key
	if b := put(t, s, again, "body"); b.ID != a.ID {
		t.Fatalf("same key: %s", b.ID)
	}
	if err := s.Drop(t.Context(), []string{a.ID}); err != nil {
		t.Fatal(err)
	}
	if err := s.Confirm(t.Context(), []string{a.ID}); err != nil {
		t.Errorf("Confirm by the second owner after the first dropped: %v", err)
	}
	c := put(t, s, Hold(3, "body"), "body")
	for range 2 {
		if err := s.Drop(t.Context(), []string{c.ID}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Get(t.Context(), c.ID)
	WantErr(t, "Get after the last owner dropped", err, quarantine.ErrNotFound)
	if b, err := readBody(t, s, a.ID); err != nil || b != "body" {
		t.Errorf("the body of the other hold: %q, %v", b, err)
	}
}

func holdsTaken(t *testing.T, s quarantine.Store) {
	put(t, s, Hold(1, "body"), "body")
	other := Hold(1, "another")
	other.Key = "another"
	_, err := s.Put(t.Context(), other, strings.NewReader("another"))
	WantErr(t, "Put under a taken ID", err, quarantine.ErrTaken)
	if st, err := s.Stats(t.Context()); err != nil || st.Bodies != 1 {
		t.Errorf("bodies: %+v, %v", st, err)
	}
}

func holdsConfirm(t *testing.T, s quarantine.Store) {
	a, b := put(t, s, Hold(1, "a"), "a"), put(t, s, Hold(2, "b"), "b")
	WantErr(t, "Confirm with a missing one", s.Confirm(t.Context(), []string{a.ID, "none-00", b.ID}), quarantine.ErrNotFound)
	if got := get(t, s, a.ID).State; got != quarantine.Provisional {
		t.Errorf("after a failed Confirm: %s", got)
	}
	for range 2 {
		if err := s.Confirm(t.Context(), []string{a.ID, b.ID}); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(t, s, b.ID).State; got != quarantine.Held {
		t.Errorf("after Confirm: %s", got)
	}
}

func holdsDrop(t *testing.T, s quarantine.Store) {
	a := confirmed(t, s, Hold(1, "a"), "a")
	if err := s.Drop(t.Context(), []string{a.ID, "none-00"}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, s, a.ID); got.State != quarantine.Held {
		t.Errorf("a held one was dropped: %s", got.State)
	}
	put(t, s, Hold(2, "b"), "b")
	old := Hold(3, "c")
	old.At = Start.Add(-time.Hour)
	put(t, s, old, "c")
	if n, err := s.DropBefore(t.Context(), Start); err != nil || n != 1 {
		t.Errorf("DropBefore: %d, %v", n, err)
	}
	if st, err := s.Stats(t.Context()); err != nil || st.Bodies != 2 {
		t.Errorf("after DropBefore: %+v, %v", st, err)
	}
}

func holdsChange(t *testing.T, s quarantine.Store) {
	h := confirmed(t, s, Hold(1, "a"), "a")
	mine, theirs := h, h
	mine.State, mine.Release = quarantine.Releasing, &quarantine.Release{By: "me", At: Start, Attempts: 1, Next: Start}
	mine.Subject = "must not change"
	now := change(t, s, mine)
	if now.Version <= h.Version || now.Subject != h.Subject || now.Release.By != "me" {
		t.Errorf("Change: %+v", now)
	}
	if d := cmp.Diff(now, get(t, s, h.ID)); d != "" {
		t.Errorf("what Change returned is not what is stored: %s", d)
	}
	theirs.State = quarantine.Deleted
	_, err := s.Change(t.Context(), theirs)
	WantErr(t, "Change of an old version", err, quarantine.ErrConflict)
	now.State = quarantine.Provisional
	if _, err := s.Change(t.Context(), now); err == nil {
		t.Error("a hold became provisional again")
	}
	now.ID = "none-00"
	_, err = s.Change(t.Context(), now)
	WantErr(t, "Change of nothing", err, quarantine.ErrNotFound)
}

func holdsEnd(t *testing.T, s quarantine.Store) {
	a := confirmed(t, s, Hold(1, "same"), "same")
	b := confirmed(t, s, Hold(2, "same"), "same")
	a.State, a.Ended = quarantine.Deleted, &quarantine.Ended{At: Start, By: "me"}
	a = change(t, s, a)
	_, err := readBody(t, s, a.ID)
	WantErr(t, "Body of an ended hold", err, quarantine.ErrNotFound)
	if got, err := readBody(t, s, b.ID); err != nil || got != "same" {
		t.Errorf("the other's body: %q, %v", got, err)
	}
	a.State = quarantine.Held
	_, err = s.Change(t.Context(), a)
	WantErr(t, "Change of an ended hold", err, quarantine.ErrEnded)
	b.State, b.Ended = quarantine.Expired, &quarantine.Ended{At: Start}
	change(t, s, b)
	st, err := s.Stats(t.Context())
	if err != nil || st.Bodies != 0 || st.Bytes != 0 || st.States[quarantine.Deleted] != 1 || st.States[quarantine.Expired] != 1 || st.States[quarantine.Held] != 0 {
		t.Errorf("Stats: %+v, %v", st, err)
	}
	confirmed(t, s, Hold(3, "same"), "same")
	if got, err := readBody(t, s, Hold(3, "").ID); err != nil || got != "same" {
		t.Errorf("the body stored again: %q, %v", got, err)
	}
}

func holdsFindKey(t *testing.T, s quarantine.Store) {
	h := put(t, s, Hold(1, "a"), "a")
	find := func(since time.Time) bool {
		got, ok, err := s.FindKey(t.Context(), h.Key, since)
		if err != nil || ok && got.ID != h.ID {
			t.Fatalf("FindKey: %s, %v", got.ID, err)
		}
		return ok
	}
	if find(Start) {
		t.Error("a provisional hold answers for a retry")
	}
	h = confirmed(t, s, Hold(1, "a"), "a")
	if !find(Start.Add(time.Hour)) {
		t.Error("an open hold does not answer")
	}
	h.State, h.Ended = quarantine.Released, &quarantine.Ended{At: Start}
	change(t, s, h)
	if !find(Start) || find(Start.Add(time.Millisecond)) {
		t.Error("an ended hold answers for the wrong time")
	}
	if _, ok, err := s.FindKey(t.Context(), "", Start); ok || err != nil {
		t.Errorf("FindKey of no key: %v, %v", ok, err)
	}
}

func holdsDue(t *testing.T, s quarantine.Store) {
	for n := range 4 {
		h := Hold(n, "x")
		h.Expires = Start.Add(time.Duration(4-n) * time.Hour)
		if n == 3 {
			put(t, s, h, "x")
		} else {
			confirmed(t, s, h, "x")
		}
	}
	due := func(at time.Time, limit int) (out []string) {
		found, err := s.Due(t.Context(), at, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range found {
			out = append(out, h.ID)
		}
		return out
	}
	at := Start.Add(3 * time.Hour)
	if d := cmp.Diff([]string{Hold(2, "").ID, Hold(1, "").ID}, due(at, 10)); d != "" {
		t.Errorf("Due: %s", d)
	}
	if got := due(at, 1); len(got) != 1 || got[0] != Hold(2, "").ID {
		t.Errorf("Due limited: %v", got)
	}
	h := get(t, s, Hold(2, "").ID)
	h.State, h.Release = quarantine.Releasing, &quarantine.Release{Next: Start}
	change(t, s, h)
	if got := due(at, 10); len(got) != 1 {
		t.Errorf("a hold on its way out expires: %v", got)
	}
	retry, err := s.Retry(t.Context(), Start, 10)
	if err != nil || len(retry) != 1 || retry[0].ID != h.ID {
		t.Errorf("Retry: %d, %v", len(retry), err)
	}
	if retry, err := s.Retry(t.Context(), Start.Add(-time.Second), 10); err != nil || len(retry) != 0 {
		t.Errorf("Retry too early: %d, %v", len(retry), err)
	}
	if future, err := s.Future(t.Context(), Start.Add(time.Second), 10); err != nil || len(future) != 1 || future[0].ID != h.ID {
		t.Errorf("Future: %d, %v", len(future), err)
	}
}

func holdsForget(t *testing.T, s quarantine.Store) {
	a, b := confirmed(t, s, Hold(1, "a"), "a"), confirmed(t, s, Hold(2, "b"), "b")
	a.State, a.Ended = quarantine.Released, &quarantine.Ended{At: Start}
	change(t, s, a)
	if n, err := s.Forget(t.Context(), Start); err != nil || n != 0 {
		t.Errorf("Forget at its end: %d, %v", n, err)
	}
	if n, err := s.Forget(t.Context(), Start.Add(time.Hour)); err != nil || n != 1 {
		t.Errorf("Forget: %d, %v", n, err)
	}
	_, err := s.Get(t.Context(), a.ID)
	WantErr(t, "Get of a forgotten one", err, quarantine.ErrNotFound)
	get(t, s, b.ID)
}

func holdsClock(t *testing.T, s quarantine.Store) {
	if at, err := s.Clock(t.Context()); err != nil || !at.IsZero() {
		t.Errorf("Clock of a new store: %v, %v", at, err)
	}
	for _, want := range []time.Time{Start, Start.Add(-time.Hour)} {
		if err := s.SetClock(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if at, err := s.Clock(t.Context()); err != nil || !at.Equal(want) {
			t.Errorf("Clock: %v, %v, want %v", at, err, want)
		}
	}
}

func holdsConcurrent(t *testing.T, s quarantine.Store) {
	const writers, each = 8, 10
	var wg sync.WaitGroup
	errs := make(chan error, writers*each)
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				body := fmt.Sprintf("body %d", i) // shared by all writers
				h, err := s.Put(t.Context(), Hold(w*each+i, body), strings.NewReader(body))
				if err == nil && i%2 == 0 {
					err = s.Confirm(t.Context(), []string{h.ID})
				} else if err == nil {
					err = s.Drop(t.Context(), []string{h.ID})
				}
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	st, err := s.Stats(t.Context())
	if err != nil || st.States[quarantine.Held] != writers*each/2 || st.Bodies < each/2 || st.Bodies > writers*each/2 {
		t.Errorf("Stats: %+v, %v", st, err)
	}
	for w := range writers {
		for i := 0; i < each; i += 2 {
			if b, err := readBody(t, s, Hold(w*each+i, "").ID); err != nil || !bytes.Equal([]byte(b), fmt.Appendf(nil, "body %d", i)) {
				t.Errorf("body %d of writer %d: %q, %v", i, w, b, err)
			}
		}
	}
}
