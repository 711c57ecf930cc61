package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"postern/internal/alert"
)

type memory struct {
	mu   sync.Mutex
	got  []alert.Alert
	fail int
}

func (m *memory) Send(_ context.Context, a alert.Alert) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail > 0 {
		m.fail--
		return errors.New("not now")
	}
	m.got = append(m.got, a)
	return nil
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestOnceThenDailyThenAllClear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{fail: 2}
		a := alert.New("mx1", time.Now, quiet(), time.Second, m)
		a.Clear("nothing stood")
		for range 5 {
			a.Raise("clamd", alert.Critical, "clamd is down", "refused")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(m.got); n != 1 {
			t.Fatalf("%d alerts for one trouble", n)
		}
		time.Sleep(alert.Repeat)
		a.Raise("clamd", alert.Critical, "clamd is down", "still")
		a.Raise("disk", alert.Warning, "80 % full", "")
		if act := a.Active(); len(act) != 2 || act[0].Key != "clamd" || !act[0].Since.Before(act[0].At) {
			t.Errorf("%+v", act)
		}
		a.Clear("clamd")
		a.Clear("clamd")
		a.Close(t.Context())
		a.Raise("late", alert.Warning, "after close", "")
		var s []string
		for _, g := range m.got {
			s = append(s, g.Key)
			if g.Over {
				s[len(s)-1] += " over"
			}
		}
		if got := strings.Join(s, ", "); got != "clamd, clamd, disk, clamd over" {
			t.Error(got)
		}
	})
}

func TestASenderThatNeverWorksDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &memory{fail: 1 << 30}, &memory{}
		var log bytes.Buffer
		a := alert.New("mx1", time.Now, slog.New(slog.NewTextHandler(&log, nil)), time.Second, bad, good)
		a.Raise("x", alert.Warning, "x", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(good.got) != 1 || !strings.Contains(log.String(), "could not be sent") {
			t.Errorf("%v %s", good.got, log.String())
		}
		a.Raise("y", alert.Warning, "y", "")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a.Close(ctx)
	})
}

func TestWebhookIsSigned(t *testing.T) {
	var body []byte
	var sig string
	status := http.StatusNoContent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		sig = r.Header.Get("Postern-Signature")
		w.WriteHeader(status)
	}))
	defer srv.Close()
	at := time.Unix(1_700_000_000, 0)
	w := &alert.Webhook{URL: srv.URL, Secret: "s3cret", HTTP: srv.Client(), Now: func() time.Time { return at }}
	if err := w.Send(t.Context(), alert.Alert{Key: "k", Summary: "sum"}); err != nil {
		t.Fatal(err)
	}
	var got alert.Alert
	if err := json.Unmarshal(body, &got); err != nil || got.Summary != "sum" {
		t.Errorf("%s %v", body, err)
	}
	if sig != alert.Sign("s3cret", at, body) || sig == alert.Sign("other", at, body) || !strings.HasPrefix(sig, "t=1700000000,v1=") {
		t.Error(sig)
	}
	status = http.StatusInternalServerError
	if err := w.Send(t.Context(), alert.Alert{}); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("%v", err)
	}
}

func TestMailIsOneSafeMessage(t *testing.T) {
	var sent []byte
	m := &alert.Mail{
		Hostname: "mx1.example.com", To: []string{"postmaster@example.com"}, Now: time.Now,
		NewID:  func() (string, error) { return "id1", nil },
		Submit: func(_ context.Context, to string, b []byte) error { sent = b; return nil },
	}
	err := m.Send(t.Context(), alert.Alert{
		Key: "k\r\nX-Injected: 1", Node: "mx1", Severity: alert.Critical, Over: true,
		Summary: "backend said\r\nBcc: all\x1b[31m " + strings.Repeat("ü", 2000), Detail: "line one\nline\rtwo",
	})
	if err != nil {
		t.Fatal(err)
	}
	msg, err := mail.ReadMessage(bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	if len(msg.Header) != 9 || msg.Header.Get("Bcc") != "" || msg.Header.Get("X-Injected") != "" || msg.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("headers %v", msg.Header)
	}
	for l := range strings.SplitSeq(string(sent), "\r\n") {
		if strings.ContainsAny(l, "\r\n\x1b") || len(l) > 998 {
			t.Errorf("line %.60q of %d bytes", l, len(l))
		}
	}
	m.Submit = func(context.Context, string, []byte) error { return errors.New("full") }
	if err := m.Send(t.Context(), alert.Alert{}); err == nil || !strings.Contains(err.Error(), "postmaster@example.com") {
		t.Errorf("%v", err)
	}
}
