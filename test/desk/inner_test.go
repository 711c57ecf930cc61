package desk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	rooms "postern/cmd/postern/browser"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/changes"
	"postern/cmd/postern/holdcalls"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/views"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/quarantine"
)

// inner is the whole desk over a store of held mail that a test fills by itself, with records
// that no mail could bring about.
type inner struct {
	t     *testing.T
	store quarantine.Store
	calls *control.Server
	url   string

	mu    sync.Mutex
	audit []string
}

// newInner serves the desk over a store; nil is an embedded one of its own.
func newInner(t *testing.T, store quarantine.Store, users ...people.User) *inner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if store == nil {
		home, err := local.Open(t.Context(), local.Options{Dir: filepath.Join(t.TempDir(), "s"), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { home.Close() })
		store = home.Holds()
	}
	in := &inner{t: t, store: store}
	note := func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.audit = append(in.audit, actor+" "+action+" "+object)
		return nil
	}
	memory := &entities.Memory{}
	cfg := config.Default()
	cfg.Hostname, cfg.State = "mx.example.com", t.TempDir()
	door, err := rooms.NewDoor(rooms.Door{Config: cfg, Entities: memory, Now: time.Now, Log: log, Audit: note})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range append([]people.User{{Name: "olga", Role: people.Postmaster, Email: "olga@example.com"}}, users...) {
		if _, err := door.People.Add(t.Context(), "root", u, password); err != nil {
			t.Fatal(err)
		}
	}
	q := quarantine.New(quarantine.Config{
		Store: store, Spool: &spool.Spool{Memory: 1 << 20}, Node: "mx1", Now: time.Now, Log: log,
		Rescan: func(context.Context, quarantine.Hold, io.ReaderAt) (quarantine.ScanResult, error) {
			return quarantine.ScanResult{}, nil
		},
		Send: func(context.Context, quarantine.Hold, io.ReaderAt) (string, error) { return "250 taken", nil },
		Audit: func(ctx context.Context, e quarantine.Event) error {
			return note(ctx, e.Actor, e.Action, e.Object, nil, nil, "")
		},
	})
	s := calls.Parts{Now: time.Now, Quarantine: q}.Server()
	in.calls = s
	holdcalls.Parts{Now: time.Now, Quarantine: q, Views: views.New(memory), Routed: func(string) bool { return true }, Audit: note}.Handle(s)
	changes.Parts{Holds: store, Entities: memory}.Handle(s)
	door.Handle(s)
	b, err := rooms.New(rooms.Parts{Calls: s, Door: door, Config: cfg, Now: time.Now, Log: log, Audit: note})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(b.Desk)
	t.Cleanup(srv.Close)
	in.url = srv.URL
	return in
}

// hold keeps a message with the record that edit makes of it.
func (in *inner) hold(n int, body string, edit func(h *quarantine.Hold)) quarantine.Hold {
	in.t.Helper()
	sum := sha256.Sum256([]byte(body))
	return in.holdOf(n, strings.NewReader(body), func(h *quarantine.Hold) {
		h.Size, h.SHA256 = int64(len(body)), hex.EncodeToString(sum[:])
		edit(h)
	})
}

// holdOf is hold for a body that is read; edit says its size and digest.
func (in *inner) holdOf(n int, body io.Reader, edit func(h *quarantine.Hold)) quarantine.Hold {
	in.t.Helper()
	at := time.Now().Add(-time.Duration(n) * time.Second).UTC().Truncate(time.Millisecond)
	id, err := filter.NewID(at, strings.NewReader(strings.Repeat(fmt.Sprintf("%08d", n), 4)))
	if err != nil {
		in.t.Fatal(err)
	}
	h := quarantine.Hold{
		V: quarantine.RecordVersion, ID: id + "-00", MessageID: id, Node: "mx1", At: at, Expires: at.Add(24 * time.Hour), Keep: 24 * time.Hour,
		Direction: "inbound", State: quarantine.Provisional, Class: quarantine.ByVerdict, Policy: "default", From: "a@x.example", To: []string{"ada@example.com"},
		Client: quarantine.Client{IP: "192.0.2.1", Helo: "h"}, Subject: "s", Action: "quarantine", Score: 700,
		Reasons: []quarantine.Reason{}, Unchecked: []quarantine.Unchecked{}, Key: fmt.Sprint("key ", n),
	}
	edit(&h)
	if _, err := in.store.Put(in.t.Context(), h, body); err != nil {
		in.t.Fatal(err)
	}
	if err := in.store.Confirm(in.t.Context(), []string{h.ID}); err != nil {
		in.t.Fatal(err)
	}
	return h
}

// browse opens a browser on the desk.
func (in *inner) browse(language string) *browser {
	in.t.Helper()
	return open(in.t, in.url, language)
}

// reader is somebody with an ordinary client.
type reader struct {
	*http.Client
	in    *inner
	token string
}

var formToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// reader signs somebody in.
func (in *inner) reader(name string) *reader {
	in.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		in.t.Fatal(err)
	}
	r := &reader{Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, in: in}
	_, page := r.get("/sign-in")
	if m := formToken.FindStringSubmatch(page); m != nil {
		r.token = m[1]
	}
	if code, body := r.post("/sign-in", url.Values{"name": {name}, "password": {password}}); code != http.StatusSeeOther {
		in.t.Fatalf("sign-in: %d %s", code, body)
	}
	_, page = r.get("/held")
	if m := formToken.FindStringSubmatch(page); m != nil {
		r.token = m[1]
	}
	return r
}

func (r *reader) do(req *http.Request) (int, string, http.Header) {
	r.in.t.Helper()
	res, err := r.Do(req)
	if err != nil {
		r.in.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.in.t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func (r *reader) get(path string) (int, string) {
	r.in.t.Helper()
	req, err := http.NewRequestWithContext(r.in.t.Context(), http.MethodGet, r.in.url+path, nil)
	if err != nil {
		r.in.t.Fatal(err)
	}
	code, body, _ := r.do(req)
	return code, body
}

func (r *reader) post(path string, form url.Values) (int, string) {
	r.in.t.Helper()
	if r.token != "" {
		form.Set("form", r.token)
	}
	req, err := http.NewRequestWithContext(r.in.t.Context(), http.MethodPost, r.in.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		r.in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", r.in.url)
	code, body, _ := r.do(req)
	return code, body
}
