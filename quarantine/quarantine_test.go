package quarantine_test

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/quarantine"
)

func TestRecord(t *testing.T) {
	w := newWorld(t)
	r := request(message("the body", "a@example.com", "b@example.com"), 1, quarantine.ByVerdict)
	r.Reply = "550 no"
	id, err := w.Provisional(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Show(t.Context(), id)
	wantErr(t, "Show of a provisional hold", err, quarantine.ErrNotFound)
	_, err = w.Raw(t.Context(), id)
	wantErr(t, "Raw of a provisional hold", err, quarantine.ErrNotFound)
	_, err = w.Release(t.Context(), id, "me")
	wantErr(t, "Release of a provisional hold", err, quarantine.ErrNotFound)
	_, err = w.Delete(t.Context(), id, "me", "")
	wantErr(t, "Delete of a provisional hold", err, quarantine.ErrNotFound)
	if err := w.Confirm(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	h, err := w.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"v": 1.0, "id": "01jd9x5h3k2m4n6p8q0r1s2t3v-01", "message_id": "01jd9x5h3k2m4n6p8q0r1s2t3v", "node": "mx1",
		"at": "2026-11-22T12:00:00Z", "expires": "2026-12-22T12:00:00Z", "keep": float64(30 * 24 * time.Hour),
		"direction": "inbound", "state": "held", "class": "quarantine", "policy": "default", "backend": "mail", "listener": "mx",
		"from": "sender@example.org", "to": []any{"b@example.com"}, "subject": "Subject \uFFFD here",
		"client": map[string]any{"ip": "192.0.2.1", "port": 25.0, "name": "host.example.org", "helo": "host", "account": ""},
		"size":   8.0, "sha256": message("the body").SHA256, "action": "quarantine", "score": 750.0,
		"reasons":   []any{map[string]any{"symbol": "SPF_FAIL", "score": 750.0, "describe": "d", "detail": "x"}},
		"unchecked": []any{map[string]any{"step": "clamav", "reason": "timed out"}},
		"rules_rev": "rev1", "av": "ClamAV 1.4.6/27000", "evidence": false, "reply": "550 no", "key": r.Key, "version": 2.0,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("record: -want +got\n%s", d)
	}
}

// TestWhatHeldIt is kept with the hold: a reason, or a step that could not tell.
func TestWhatHeldIt(t *testing.T) {
	w := newWorld(t)
	for i, reason := range []bool{true, false} {
		r := request(message(fmt.Sprint("body ", i), "a@example.com"), 0, quarantine.ByVerdict)
		r.Verdict.Reasons[0].Decides, r.Verdict.Failures[0].OnError = reason, filter.Quarantine
		id, err := w.Keep(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.Show(t.Context(), id)
		if err != nil || h.Reasons[0].Decides != reason || h.Unchecked[0].Decides == reason {
			t.Errorf("%+v %+v %v", h.Reasons, h.Unchecked, err)
		}
	}
}

func TestKeepTimes(t *testing.T) {
	w := newWorld(t)
	for n, c := range []struct {
		class  quarantine.Class
		policy string
		want   time.Duration
	}{
		{quarantine.ByVerdict, "default", 30 * 24 * time.Hour},
		{quarantine.ByVerdict, "short", 24 * time.Hour},
		{quarantine.BackendRefused, "short", 24 * time.Hour},
		{quarantine.RejectedBeside, "short", 3 * 24 * time.Hour},
		{quarantine.Evidence, "short", 90 * 24 * time.Hour},
	} {
		r := request(message("x", "a@example.com"), 0, c.class)
		r.Recipient.Policy, r.Key = c.policy, strings.Repeat("k", n+1)
		id, err := w.Keep(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		h, err := w.Show(t.Context(), id)
		if err != nil || !h.Expires.Equal(start.Add(c.want)) || h.Evidence != (c.class == quarantine.Evidence) {
			t.Errorf("%s under %s: until %v, %v", c.class, c.policy, h.Expires, err)
		}
	}
	_, err := w.Keep(t.Context(), quarantine.Request{Class: "cellar"})
	if err == nil {
		t.Error("an unknown class was taken")
	}
}

// TestRetryOfSender: the sender comes again with the same mail under a new message ID.
func TestRetryOfSender(t *testing.T) {
	w := newWorld(t)
	r := request(message("x", "a@example.com"), 0, quarantine.ByVerdict)
	if _, ok, err := w.Ended(t.Context(), r.Key); ok || err != nil {
		t.Errorf("before: %v, %v", ok, err)
	}
	id, err := w.Provisional(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := w.Ended(t.Context(), r.Key); ok || err != nil {
		t.Errorf("provisional: %v, %v", ok, err)
	}
	again := request(message("x", "a@example.com"), 0, quarantine.ByVerdict)
	again.Message.ID = "01jd9x5h3k2m4n6p8q0r1s2zzz"
	if got, err := w.Provisional(t.Context(), again); err != nil || got != id {
		t.Errorf("the retry is %s, want %s, %v", got, id, err)
	}
	if err := w.Confirm(t.Context(), []string{id}); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := w.Ended(t.Context(), r.Key); got != id || !ok || err != nil {
		t.Errorf("held: %s, %v, %v", got, ok, err)
	}
	if _, err := w.Delete(t.Context(), id, "me", ""); err != nil {
		t.Fatal(err)
	}
	w.pass(quarantine.KeyKept)
	if _, ok, _ := w.Ended(t.Context(), r.Key); !ok {
		t.Error("ended 7 days ago: unknown")
	}
	w.pass(time.Second)
	if _, ok, _ := w.Ended(t.Context(), r.Key); ok {
		t.Error("ended more than 7 days ago: still known")
	}
}

// TestEvidenceNeverAnswers: a copy kept beside a refusal must not turn the retry of the
// refused mail into a 250.
func TestEvidenceNeverAnswers(t *testing.T) {
	w := newWorld(t)
	m := message("x", "a@example.com")
	r := request(m, 0, quarantine.Evidence)
	id, err := w.Keep(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok, err := w.Ended(t.Context(), r.Key); ok || err != nil {
		t.Errorf("evidence answers as %s, %v", got, err)
	}
	held, err := w.Keep(t.Context(), request(m, 0, quarantine.ByVerdict))
	if err != nil || held == id {
		t.Errorf("the hold beside the copy: %s, %v", held, err)
	}
	_, err = w.Release(t.Context(), id, "me")
	wantErr(t, "Release of evidence", err, quarantine.ErrNotReleasable)
}

func TestManyRecipients(t *testing.T) {
	w := newWorld(t)
	to := make([]string, 120)
	for i := range to {
		to[i] = strings.Repeat("u", i+1) + "@example.com"
	}
	m := message("x", to...)
	seen := map[string]bool{}
	for i := range to {
		id, err := w.Provisional(t.Context(), request(m, i, quarantine.ByVerdict))
		if err != nil || seen[id] {
			t.Fatalf("recipient %d: %s, %v", i, id, err)
		}
		seen[id] = true
	}
	if st, err := w.store.Stats(t.Context()); err != nil || st.Bodies != 1 {
		t.Errorf("%d bodies for one message, %v", st.Bodies, err)
	}
}

func TestRaw(t *testing.T) {
	w := newWorld(t)
	id := w.keep("raw\r\nbytes\x00", quarantine.ByVerdict)
	r, err := w.Raw(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if b, err := io.ReadAll(r); string(b) != "raw\r\nbytes\x00" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	page, err := w.List(t.Context(), quarantine.Query{To: "@example.com"})
	if err != nil || len(page.Holds) != 1 {
		t.Errorf("List: %d, %v", len(page.Holds), err)
	}
}

// TestCap: at the cap what must be held is refused, what is held stays, and each crossing is
// said once.
func TestCap(t *testing.T) {
	w := newWorld(t, func(c *quarantine.Config) { c.Cap = 100_000 })
	var ids []string
	body := func(n int) string { return noise(n, 9_000) }
	for n := range 12 {
		r := request(message(body(n), "a@example.com"), 0, quarantine.ByVerdict)
		id, err := w.Keep(t.Context(), r)
		if err != nil {
			wantErr(t, "over the cap", err, quarantine.ErrFull)
			continue
		}
		ids = append(ids, id)
	}
	if len(ids) < 9 || len(ids) == 12 {
		t.Fatalf("%d of 12 fit", len(ids))
	}
	if d := cmp.Diff([]quarantine.Level{quarantine.Filling, quarantine.Full}, w.warned); d != "" {
		t.Errorf("warnings: %s", d)
	}
	for _, id := range ids {
		if w.state(id) != quarantine.Held {
			t.Errorf("%s was pushed out", id)
		}
	}
	for _, id := range ids[:5] {
		if _, err := w.Delete(t.Context(), id, "me", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.expire()
	if u, err := w.Usage(t.Context()); err != nil || u.Level != quarantine.Roomy || u.Cap != 100_000 || u.Bytes == 0 {
		t.Errorf("Usage: %+v, %v", u, err)
	}
	if got := w.warned[len(w.warned)-1]; got != quarantine.Roomy {
		t.Errorf("the last word: %v", got)
	}
	w.keep(body(20), quarantine.ByVerdict)
}

// noise is text that hardly compresses, the same for the same n.
func noise(n, size int) string {
	var b strings.Builder
	for x := uint64(n)*0x9e3779b97f4a7c15 + 1; b.Len() < size; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b.WriteByte(byte(x >> 32))
	}
	return b.String()
}

func TestLevelNames(t *testing.T) {
	for l, want := range map[quarantine.Level]string{quarantine.Roomy: "roomy", quarantine.Filling: "filling", quarantine.Full: "full", 9: "full"} {
		if l.String() != want {
			t.Errorf("%d is %q", l, l)
		}
	}
}
