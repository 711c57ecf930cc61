package testinbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/testinbox"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/inbox"
	"postern/internal/mailtest/entities"
	"postern/internal/relay"
	"postern/internal/relay/client"
)

// behind is a server that nobody may reach.
type behind struct{ asked []string }

func (b *behind) Begin(_ context.Context, pool string, _ client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	b.asked = append(b.asked, pool)
	return nil, client.Begun{}, nil, errors.New("not reachable")
}

func newInbox(t *testing.T) (*testinbox.Inbox, *control.Server, *behind, *entities.Memory) {
	t.Helper()
	c := config.Default()
	c.Hostname, c.TestInbox.Domains, c.TestInbox.Bytes = "mx1.example.com", []string{"ci.example"}, 10_000
	var at atomic.Pointer[config.Config]
	at.Store(c)
	b, home := &behind{}, &entities.Memory{}
	i := testinbox.Parts{Config: &at, Entities: home, Now: time.Now, Random: rand.Reader, Log: slog.New(slog.DiscardHandler)}.New(b)
	s := control.NewServer()
	i.Handle(s)
	return i, s, b, home
}

func envelope(size int64) client.Envelope {
	return client.Envelope{From: "app@x.example", To: []string{"a@ci.example", "b@ci.example"}, Size: size, ID: "ref", Verdict: filter.Verdict{Action: filter.Tag, Score: 450}}
}

const raw = "Subject: =?utf-8?Q?caf=C3=A9?=\r\n\r\nhello\r\n"

// put takes a message through a transaction.
func put(t *testing.T, i *testinbox.Inbox) string {
	t.Helper()
	c, begun, release, err := i.Begin(t.Context(), relay.InboxBackend, envelope(int64(len(raw))))
	if err != nil || !begun.OK() || len(begun.Rcpt) != 2 {
		t.Fatal(begun, err)
	}
	defer release(true)
	if err := c.Body(t.Context(), strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	if p, _ := i.List(t.Context(), inbox.Query{}); len(p.Messages) != 0 {
		t.Error("it is seen before its end")
	}
	said, err := c.End(t.Context())
	if err != nil || len(said) != 1 || said[0].Code != 250 {
		t.Fatal(said, err)
	}
	p, err := i.List(t.Context(), inbox.Query{})
	if err != nil || len(p.Messages) != 1 {
		t.Fatal(p, err)
	}
	return p.Messages[0].ID
}

func TestTransaction(t *testing.T) {
	i, s, b, home := newInbox(t)
	id := put(t, i)
	var m inbox.Full
	if err := s.Call(t.Context(), "inbox.show", testinbox.ID{ID: id}, &m); err != nil || m.Subject != "café" || m.Reference != "ref" || len(m.To) != 2 || m.Verdict.Score != 4.5 || m.Node != "mx1.example.com" {
		t.Errorf("%+v %v", m, err)
	}
	if len(b.asked) != 0 {
		t.Errorf("asked behind: %q", b.asked)
	}
	if _, _, _, err := i.Begin(t.Context(), "mail", envelope(1)); err == nil || len(b.asked) != 1 {
		t.Errorf("other mail: %v, %q", err, b.asked)
	}
	if _, begun, release, err := i.Begin(t.Context(), relay.InboxBackend, envelope(10_001)); err != nil || begun.Mail.Code != 552 {
		t.Errorf("too large: %+v %v", begun, err)
	} else {
		release(true)
	}
	if err := s.Call(t.Context(), "inbox.delete", testinbox.ID{ID: id}, nil); err != nil {
		t.Error(err)
	}
	if used, _, _ := home.BlobBytes(t.Context(), entity.Inbox); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
}

func TestAbort(t *testing.T) {
	i, _, _, home := newInbox(t)
	c, _, _, err := i.Begin(t.Context(), relay.InboxBackend, envelope(10))
	if err != nil {
		t.Fatal(err)
	}
	c.Abort(t.Context()) // before a body
	if err := c.Body(t.Context(), strings.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	c.Abort(t.Context())
	if used, _, _ := home.BlobBytes(t.Context(), entity.Inbox); used != 0 {
		t.Errorf("%d bytes are left", used)
	}
	if err := c.Body(t.Context(), io.MultiReader(strings.NewReader("x"), broken{})); err == nil {
		t.Error("half a body was kept")
	}
	home.Fail = func() error { return errors.New("away") }
	if err := c.Body(t.Context(), strings.NewReader(raw)); err == nil {
		t.Error("kept without a store")
	}
	if _, err := c.End(t.Context()); err == nil {
		t.Error("answered without a store")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestCalls(t *testing.T) {
	i, s, _, _ := newInbox(t)
	id := put(t, i)
	kindOf := func(name string, params any) control.Kind {
		var e *control.Error
		if err := s.Call(t.Context(), name, params, nil); errors.As(err, &e) {
			return e.Kind
		}
		return ""
	}
	for name, c := range map[string]struct {
		call   string
		params any
		want   control.Kind
	}{
		"none":         {"inbox.show", testinbox.ID{ID: "nope"}, control.NotFound},
		"raw of none":  {"inbox.raw", testinbox.ID{ID: "nope"}, control.NotFound},
		"delete none":  {"inbox.delete", testinbox.ID{ID: "nope"}, control.NotFound},
		"long":         {"inbox.wait", testinbox.Wait{Seconds: 91}, control.Invalid},
		"negative":     {"inbox.wait", testinbox.Wait{Seconds: -1}, control.Invalid},
		"page":         {"inbox.list", inbox.Query{Limit: 201}, control.Invalid},
		"there is one": {"inbox.wait", testinbox.Wait{To: "A@ci.example"}, ""},
	} {
		if got := kindOf(c.call, c.params); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	var got testinbox.Raw
	if err := s.Call(t.Context(), "inbox.raw", testinbox.ID{ID: id}, &got); err != nil || string(got.Body) != raw {
		t.Errorf("%q %v", got.Body, err)
	}
	var n testinbox.Cleared
	if err := s.Call(t.Context(), "inbox.clear", testinbox.Clear{To: "nobody@ci.example"}, &n); err != nil || n.Messages != 0 {
		t.Error(n, err)
	}
	if err := s.Call(t.Context(), "inbox.clear", testinbox.Clear{Counters: true}, &n); err != nil || n.Messages != 1 {
		t.Error(n, err)
	}
	var c inbox.Counters
	if err := s.Call(t.Context(), "inbox.counts", struct{}{}, &c); err != nil || c.Counts != (inbox.Counts{}) {
		t.Error(c, err)
	}
}
