package holdcalls_test

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/holdcalls"
	"postern/internal/control"
	"postern/internal/desk/views"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func server(t *testing.T, holds int) (*control.Server, *[]string) {
	t.Helper()
	home, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	for n := range holds {
		if _, err := home.Holds().Put(t.Context(), storetest.Hold(n, "x"), strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := home.Holds().Confirm(t.Context(), []string{storetest.Hold(n, "").ID}); err != nil {
			t.Fatal(err)
		}
	}
	var sent []string
	q := quarantine.New(quarantine.Config{
		Store: home.Holds(), Spool: &spool.Spool{Memory: 1 << 20}, Now: time.Now,
		Rescan: func(context.Context, quarantine.Hold, io.ReaderAt) (quarantine.ScanResult, error) {
			return quarantine.ScanResult{}, nil
		},
		Send: func(_ context.Context, h quarantine.Hold, _ io.ReaderAt) (string, error) {
			sent = append(sent, strings.Join(h.To, ","))
			return "250 ok", nil
		},
	})
	s := control.NewServer()
	holdcalls.Parts{
		Now: time.Now, Quarantine: q, Views: views.New(&entities.Memory{}),
		Routed: func(to string) bool { return strings.HasSuffix(to, "@example.com") },
	}.Handle(s)
	return s, &sent
}

func TestCount(t *testing.T) {
	s, _ := server(t, 7)
	for _, c := range []struct {
		ask  holdcalls.Count
		want holdcalls.Counted
	}{
		{holdcalls.Count{}, holdcalls.Counted{N: 7}},
		{holdcalls.Count{Limit: 7}, holdcalls.Counted{N: 7}},
		{holdcalls.Count{Limit: 5}, holdcalls.Counted{N: 5, More: true}},
		{holdcalls.Count{Text: "symbol:NONE"}, holdcalls.Counted{}},
	} {
		var got holdcalls.Counted
		if err := s.Call(t.Context(), "quarantine.count", c.ask, &got); err != nil || got != c.want {
			t.Errorf("%+v: %+v, %v", c.ask, got, err)
		}
	}
	if err := s.Call(t.Context(), "quarantine.count", holdcalls.Count{Text: "color:red"}, nil); err == nil {
		t.Error("a wrong search is counted")
	}
}

// TestCopies go to whoever asks, and to nobody else.
func TestCopies(t *testing.T) {
	s, sent := server(t, 1)
	id := storetest.Hold(0, "").ID
	as := func(email string) context.Context {
		return people.With(t.Context(), people.Principal{Name: "olga", Role: people.Postmaster, Email: email})
	}
	for _, c := range []struct {
		ctx  context.Context
		ask  holdcalls.Copy
		want string
	}{
		{as("olga@example.com"), holdcalls.Copy{ID: id, To: "boss@example.com"}, "your own address"},
		{as(""), holdcalls.Copy{ID: id}, "no address is known"},
		{as("olga@elsewhere.example"), holdcalls.Copy{ID: id}, "not handed to a server"},
		{as("olga@example.com"), holdcalls.Copy{ID: "none"}, "no such hold"},
	} {
		if err := s.Call(c.ctx, "quarantine.copy", c.ask, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.ask, err, c.want)
		}
	}
	var got holdcalls.Copied
	if err := s.Call(as("olga@example.com"), "quarantine.copy", holdcalls.Copy{ID: id}, &got); err != nil || got.To != "olga@example.com" || got.Reply != "250 ok" {
		t.Error(got, err)
	}
	if err := s.Call(t.Context(), "quarantine.copy", holdcalls.Copy{ID: id, To: "root@example.com"}, &got); err != nil {
		t.Error(err)
	}
	if strings.Join(*sent, " ") != "olga@example.com root@example.com" {
		t.Error(*sent)
	}
}

// TestViews are each person's own.
func TestViews(t *testing.T) {
	s, _ := server(t, 0)
	as := func(name string) context.Context {
		return people.With(t.Context(), people.Principal{Name: name, Role: people.Agent})
	}
	v := views.View{Room: "held", Name: "mine", Query: "symbol:X"}
	var all []views.View
	if err := s.Call(as("olga"), "view.save", v, &all); err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	for name, n := range map[string]int{"olga": 1, "ivan": 0} {
		if err := s.Call(as(name), "view.list", struct{}{}, &all); err != nil || len(all) != n {
			t.Error(name, all, err)
		}
	}
	if err := s.Call(as("olga"), "view.save", views.View{Room: "held"}, &all); err == nil || !strings.Contains(err.Error(), "a name has") {
		t.Error(err)
	}
	if err := s.Call(as("ivan"), "view.remove", v, &all); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	if err := s.Call(as("olga"), "view.remove", v, &all); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}
