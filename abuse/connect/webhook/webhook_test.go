package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/connect/webhook"
	"postern/abuse/measure"
)

var start = time.Unix(1_900_000_000, 0)

func secret(t *testing.T, c string) webhook.Secret {
	t.Helper()
	s, err := webhook.ParseSecret("whsec_" + strings.Repeat(c, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func loopback() *http.Client {
	return webhook.Client(webhook.Dialer{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

// The example that the standard-webhooks text gives for its signatures.
func TestKnownSignature(t *testing.T) {
	s, err := webhook.ParseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	r := &webhook.Receiver{Secrets: []webhook.Secret{s}, Now: func() time.Time { return time.Unix(1614265330, 0) }}
	h := http.Header{}
	h.Set("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	h.Set("webhook-timestamp", "1614265330")
	h.Set("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	if _, _, _, err := r.Take(h, []byte(`{"test": 2432232314}`)); !errors.Is(err, webhook.ErrForm) { // signed well, but without a type
		t.Errorf("%v", err)
	}
	if _, _, _, err := r.Take(h, []byte(`{"test": 2432232315}`)); !errors.Is(err, webhook.ErrSignature) {
		t.Errorf("%v", err)
	}
}

// sent is an event as it arrives.
type sent struct {
	header http.Header
	body   []byte
}

func capture(t *testing.T, secrets ...webhook.Secret) sent {
	t.Helper()
	var got sent
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = sent{r.Header.Clone(), body}
	}))
	defer srv.Close()
	s := &webhook.Sender{URL: srv.URL, Secrets: secrets, HTTP: loopback(), Now: func() time.Time { return start }}
	if _, err := s.Send(t.Context(), "e1", webhook.Event{Type: "x", Timestamp: start, Data: map[string]int{"n": 1}}); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWhatIsTaken(t *testing.T) {
	old, new, other := secret(t, "a"), secret(t, "b"), secret(t, "c")
	take := func(e sent, at time.Time, secrets ...webhook.Secret) error {
		r := &webhook.Receiver{Secrets: secrets, Now: func() time.Time { return at }}
		id, kind, data, err := r.Take(e.header, e.body)
		if err == nil && (id != "e1" || kind != "x" || string(data) != `{"n":1}`) {
			t.Errorf("%s %s %s", id, kind, data)
		}
		if err == nil {
			if _, _, _, again := r.Take(e.header, e.body); !errors.Is(again, webhook.ErrSeen) {
				t.Errorf("a second time: %v", again)
			}
		}
		return err
	}
	e := capture(t, old)
	altered := sent{e.header, append([]byte(nil), e.body...)}
	altered.body[len(altered.body)-3]++
	moved := sent{e.header.Clone(), e.body}
	moved.header.Set("Webhook-Timestamp", "1900000001")
	renamed := sent{e.header.Clone(), e.body}
	renamed.header.Set("Webhook-Id", "e2")
	bare := sent{http.Header{}, e.body}
	for name, c := range map[string]struct {
		err, want error
	}{
		"good": {take(e, start, old), nil}, "4 minutes old": {take(e, start.Add(4*time.Minute), old), nil},
		"6 minutes old": {take(e, start.Add(6*time.Minute), old), webhook.ErrTime}, "of the future": {take(e, start.Add(-6*time.Minute), old), webhook.ErrTime},
		"one byte": {take(altered, start, old), webhook.ErrSignature}, "moved": {take(moved, start, old), webhook.ErrSignature}, "renamed": {take(renamed, start, old), webhook.ErrSignature},
		"other secret": {take(e, start, other), webhook.ErrSignature}, "no secret": {take(e, start), webhook.ErrSignature}, "bare": {take(bare, start, old), webhook.ErrForm},
		"rotation, receiver first": {take(e, start, new, old), nil}, "rotation, sender first": {take(capture(t, old, new), start, new), nil},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, bad := range []string{"", "whsec_", "whsec_AAAA", strings.Repeat("a", 32), "whsec_" + strings.Repeat("a", 92), "whsec_!" + strings.Repeat("a", 31)} {
		if _, err := webhook.ParseSecret(bad); err == nil {
			t.Errorf("%q", bad)
		}
	}
}

func TestAnswersOfAReceiver(t *testing.T) {
	var status int
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer srv.Close()
	s := &webhook.Sender{URL: srv.URL, Secrets: []webhook.Secret{secret(t, "a")}, HTTP: loopback(), Now: func() time.Time { return start }}
	for code, want := range map[int]error{200: nil, 204: nil, 302: webhook.ErrRedirect, 307: webhook.ErrRedirect, 400: webhook.ErrRefused, 410: webhook.ErrGone, 500: webhook.ErrRefused} {
		status, asked = code, 0
		if _, err := s.Send(t.Context(), "e", webhook.Event{Type: "x"}); !errors.Is(err, want) || asked != 1 {
			t.Errorf("%d: %v, asked %d times", code, err, asked)
		}
	}
	s.HTTP = webhook.Client(webhook.Dialer{})
	if _, err := s.Send(t.Context(), "e", webhook.Event{Type: "x"}); !errors.Is(err, webhook.ErrPrivate) {
		t.Errorf("to this machine: %v", err)
	}
	for _, inward := range []string{"http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://[::1]/", "http://[fd00::1]/", "http://[::ffff:127.0.0.1]/", "http://100.64.0.1/", "http://[64:ff9b::7f00:1]/", "http://0.0.0.0/"} {
		s.URL = inward
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := s.Send(ctx, "e", webhook.Event{Type: "x"}); !errors.Is(err, webhook.ErrPrivate) {
			t.Errorf("%s: %v", inward, err)
		}
		cancel()
	}
}

func TestConnector(t *testing.T) {
	force := map[string]bool{}
	lie, garbage := false, false
	seen := map[string]int{}
	rec := &webhook.Receiver{Secrets: []webhook.Secret{secret(t, "a")}, Now: func() time.Time { return start }}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, kind, data, err := rec.Take(r.Header, body)
		if err != nil && !errors.Is(err, webhook.ErrSeen) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var q webhook.Requested
		_ = json.Unmarshal(data, &q)
		seen[kind]++
		switch {
		case garbage:
			_, _ = io.WriteString(w, "thanks")
			return
		case kind == "abuse.measure.requested":
			force[q.Account+q.Domain] = !lie
		case kind == "abuse.measure.removed":
			delete(force, q.Account+q.Domain)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"in_force": force[q.Account+q.Domain], "handle": "h"})
	}))
	defer srv.Close()
	now := start
	c := &webhook.Connector{Label: "panel", Sender: &webhook.Sender{URL: srv.URL, Secrets: []webhook.Secret{secret(t, "a")}, HTTP: loopback(), Now: func() time.Time { now = now.Add(time.Millisecond); return now }}}
	m := measure.Measure{ID: "m1", Target: "anna@x.example", Level: abuse.M3, Case: "A-2026-000001", Until: start.Add(time.Hour)}
	handle, err := c.Apply(t.Context(), m)
	in, verr := c.Verify(t.Context(), m, handle)
	if err != nil || handle != "h" || !in || verr != nil {
		t.Errorf("%q %v, %v %v", handle, err, in, verr)
	}
	if err := errors.Join(c.KillSessions(t.Context(), m.Target), c.Undo(t.Context(), m, handle)); err != nil || seen["abuse.sessions.kill"] != 1 {
		t.Errorf("%v %v", err, seen)
	}
	if in, err := c.Verify(t.Context(), m, handle); in || err != nil {
		t.Errorf("after the undo: %v %v", in, err)
	}
	lie = true
	m.ID, m.Target = "m2", "@x.example"
	if _, err := c.Apply(t.Context(), m); err != nil {
		t.Error(err)
	}
	if in, err := c.Verify(t.Context(), m, ""); in || err != nil {
		t.Errorf("says yes and does nothing: %v %v", in, err)
	}
	garbage = true
	m.ID = "m3"
	if _, err := c.Apply(t.Context(), m); err != nil {
		t.Errorf("an answer without a read-back: %v", err)
	}
	if in, err := c.Verify(t.Context(), m, ""); in || !errors.Is(err, webhook.ErrAnswer) {
		t.Errorf("%v %v", in, err)
	}
}

func FuzzTake(f *testing.F) {
	f.Add("id", "1900000000", "v1,AAAA v1a,x", []byte(`{"type":"x","data":{}}`))
	f.Fuzz(func(t *testing.T, id, at, sig string, body []byte) {
		r := &webhook.Receiver{Secrets: []webhook.Secret{[]byte("a secret that nobody can know here")}, Now: func() time.Time { return start }}
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {at}, "Webhook-Signature": {sig}}
		if _, _, _, err := r.Take(h, body); err == nil {
			t.Error("taken without the secret")
		}
	})
}
