package sources_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/external"
	"postern/abuse/sent"
	"postern/blocklist"
	"postern/cmd/postern/sources"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/store/local"
)

const spam = "From: Anna <a@news.example>\r\nTo: user@ours.test\r\nSubject: Buy now\r\nMessage-ID: <1@news.example>\r\n\r\nBuy.\r\n"

var anna = cases.Actor{Name: "anna", Role: flow.Agent}

type letter struct{ from, to, text string }

// world is the desk among memory, a real home for lists and a DNS that knows what it is told.
type world struct {
	*sources.Desk
	t        *testing.T
	cfg      *config.Config
	home     *entities.Memory
	own      *blocklist.Own
	cases    *cases.Desk
	observer *external.Observer
	now      time.Time
	rows     []record.Row
	dns      map[string][]string
	sent     []letter
	alerts   map[string]bool
	jobs     []string
}

func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	if all := w.dns[name]; len(all) > 0 {
		return all, nil
	}
	return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
}

func (w *world) PTR(context.Context, netip.Addr) ([]string, error) {
	return nil, &net.DNSError{Err: "no such name", IsNotFound: true}
}

func (w *world) IPs(ctx context.Context, name string) ([]netip.Addr, error) { return w.A(ctx, name) }

func (w *world) A(_ context.Context, name string) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range w.dns[name] {
		if ip, err := netip.ParseAddr(text); err == nil {
			out = append(out, ip)
		}
	}
	if len(out) == 0 {
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	}
	return out, nil
}

// Add and Find make it a record.Traffic of a few rows, two a page.
func (w *world) Add(r record.Row) bool { w.rows = append(w.rows, r); return true }

func (w *world) Find(_ context.Context, q record.Trace) (record.Page, error) {
	var page record.Page
	start := 0
	if q.After != "" {
		if _, err := fmt.Sscan(q.After, &start); err != nil {
			return page, err
		}
	}
	for i := start; i < len(w.rows); i++ {
		if q.ID != "" && w.rows[i].ID != q.ID || w.rows[i].Time.Before(q.Since) {
			continue
		}
		if page.Rows = append(page.Rows, w.rows[i]); len(page.Rows) == 2 && i+1 < len(w.rows) {
			page.Next = fmt.Sprint(i + 1)
			break
		}
	}
	return page, nil
}

// ByAccount is the send log: whoever is asked for sent one message an hour ago.
func (w *world) ByAccount(_ context.Context, account string, _, _ time.Time, _ string, _ int) ([]sent.Row, string, error) {
	return []sent.Row{{Account: account, From: account, At: w.now.Add(-time.Hour), Copies: []sent.Copy{{State: sent.Delivered}}}}, "", nil
}

func (w *world) Prune(context.Context, time.Time) (int, error) { return 0, nil }

func newWorld(t *testing.T, change ...func(*config.Config)) *world {
	t.Helper()
	lists, err := local.Open(t.Context(), local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lists.Close() })
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cfg: config.Default(), home: &entities.Memory{}, observer: &external.Observer{}, now: time.Now().UTC().Truncate(time.Second), dns: map[string][]string{}, alerts: map[string]bool{}}
	w.cfg.Hostname, w.cfg.Routes = "mx.ours.test", map[string]config.Route{"ours.test": {}, "*.wide.test": {}}
	w.cfg.Backends = map[string][]config.Backend{"mail": {{Addr: "198.18.5.5:25"}, {Addr: "unix:/run/lmtp"}}}
	for _, f := range change {
		f(w.cfg)
	}
	clock := func() time.Time { return w.now }
	w.home.Now = clock
	w.own = blocklist.NewOwn(blocklist.OwnParts{Store: lists.Lists(), Now: clock})
	audit := func(context.Context, string, string, string, any, any, string) error { return nil }
	w.cases = &cases.Desk{Entities: w.home, Now: clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set }, Audit: audit, Alarm: func(context.Context, cases.Alarm) {}}
	var cfg atomic.Pointer[config.Config]
	cfg.Store(w.cfg)
	w.Desk, err = sources.New(sources.Parts{
		Config: &cfg, Home: w.home, Lists: lists.Lists(), Own: w.own, Observer: w.observer, DNS: w, Traffic: w, Sent: w, Cases: w.cases,
		Calendars: func() *calendar.Set { return set }, Key: []byte("a key"), Version: "1", Alias: func(id string) string { return strings.ToLower(id) + "@ours.test" },
		Submit: func(_ context.Context, _ string, _ time.Time, from, to string, m []byte) error {
			w.sent = append(w.sent, letter{from, to, string(m)})
			return nil
		},
		Audit: audit, Event: func(key, _ string, over bool) { w.alerts[key] = !over }, Now: clock, Log: slog.New(slog.DiscardHandler),
		Alone: func(ctx context.Context, job string, f func(context.Context) error) error {
			w.jobs = append(w.jobs, job)
			return f(ctx)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.cases.Followers = []cases.Named{{Name: "external", Follower: w.External}}
	return w
}

// message is a mail from elsewhere to somebody, as the checks see it.
func (w *world) message(ip, from, to string) *filter.Message {
	body := strings.NewReader(spam)
	return &filter.Message{
		ID: "01m", Time: w.now, Client: filter.Client{IP: netip.MustParseAddr(ip), Port: 40001, Helo: "h"}, From: from, To: []filter.Recipient{{Address: to}},
		Body: body, Size: int64(len(spam)),
	}
}

// trapped is the case of a source that hit a trap.
func (w *world) trapped(ip string) cases.Case {
	w.t.Helper()
	c, err := w.Trapped(w.t.Context(), w.message(ip, "b@news.example", "trap@ours.test"), "trap@ours.test")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) keptBytes(sum string) string {
	w.t.Helper()
	r, err := w.home.Blob(w.t.Context(), entity.Evidence, sum)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}
