package quarantine_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/spool"
	"postern/internal/store/local"
	"postern/quarantine"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a quarantine on a real home, with everything around it scripted.
type world struct {
	*quarantine.Quarantine
	t     *testing.T
	store quarantine.Store
	dir   string

	mu      sync.Mutex
	now     time.Time
	elapsed time.Duration
	sent    []string // "recipients: body" of each Send
	audit   []string // "actor action object"
	warned  []quarantine.Level
	jumped  int

	scan     func() (quarantine.ScanResult, error)
	send     func(ctx context.Context) (string, error)
	auditErr error
}

// newWorld makes a world; edit changes the configuration first.
func newWorld(t *testing.T, edit ...func(*quarantine.Config)) *world {
	t.Helper()
	w := &world{t: t, now: start, dir: filepath.Join(t.TempDir(), "s")}
	home, err := local.Open(t.Context(), local.Options{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { home.Close() })
	w.store = home.Holds()
	cfg := quarantine.Config{
		Store: w.store, Spool: &spool.Spool{Memory: 1 << 20}, Node: "mx1",
		Keep:    func(policy string) time.Duration { return map[string]time.Duration{"short": 24 * time.Hour}[policy] },
		Now:     w.clock,
		Elapsed: func() time.Duration { w.mu.Lock(); defer w.mu.Unlock(); return w.elapsed },
		Subject: func(*filter.Message) string { return "Subject \xff here" },
		AV:      func() string { return "ClamAV 1.4.6/27000" },
		Rescan:  w.onScan, Send: w.onSend, Audit: w.onAudit,
		Warn:   func(u quarantine.Usage) { w.warned = append(w.warned, u.Level) },
		Jumped: func(_, _ time.Time) { w.jumped++ },
	}
	for _, f := range edit {
		f(&cfg)
	}
	w.Quarantine = quarantine.New(cfg)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time pass: both clocks move.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now, w.elapsed = w.now.Add(d), w.elapsed+d
}

// set sets the clock as an operator or a broken battery does: no time passes.
func (w *world) set(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

func (w *world) onScan(_ context.Context, _ quarantine.Hold, body io.ReaderAt) (quarantine.ScanResult, error) {
	if _, err := body.ReadAt(make([]byte, 1), 0); err != nil {
		return quarantine.ScanResult{}, err
	}
	if w.scan != nil {
		return w.scan()
	}
	return quarantine.ScanResult{}, nil
}

func (w *world) onSend(ctx context.Context, h quarantine.Hold, body io.ReaderAt) (string, error) {
	text, err := io.ReadAll(io.NewSectionReader(body, 0, h.Size))
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	w.sent = append(w.sent, strings.Join(h.To, " ")+": "+string(text))
	w.mu.Unlock()
	if w.send != nil {
		return w.send(ctx)
	}
	return "250 2.0.0 taken", nil
}

func (w *world) onAudit(_ context.Context, e quarantine.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.audit = append(w.audit, e.Actor+" "+e.Action+" "+e.Object)
	return w.auditErr
}

// message is one inbound message for these recipients.
func message(body string, to ...string) *filter.Message {
	sum := sha256.Sum256([]byte(body))
	m := &filter.Message{
		ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Time: start, Listener: "mx", From: "sender@example.org",
		Client: filter.Client{IP: netip.MustParseAddr("192.0.2.1"), Port: 25, Name: "host.example.org", Helo: "host"},
		Body:   strings.NewReader(body), Size: int64(len(body)), SHA256: hex.EncodeToString(sum[:]),
	}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a, Policy: "default", Backend: "mail"})
	}
	return m
}

func request(m *filter.Message, i int, class quarantine.Class) quarantine.Request {
	return quarantine.Request{
		Message: m, Recipient: m.To[i], Class: string(class), Key: m.From + m.To[i].Address + m.SHA256,
		Verdict: filter.Verdict{
			Action: filter.Quarantine, Score: 750, Rules: "rev1",
			Reasons:  []filter.Reason{{Symbol: "SPF_FAIL", Score: 750, Describe: "d", Detail: "x"}},
			Failures: []filter.Failure{{Step: "clamav", Reason: "timed out", Err: errors.New("private")}},
		},
	}
}

// keep keeps and confirms one message for one recipient.
func (w *world) keep(body string, class quarantine.Class) string {
	w.t.Helper()
	id, err := w.Keep(w.t.Context(), request(message(body, "user@example.com"), 0, class))
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) state(id string) quarantine.State {
	w.t.Helper()
	h, err := w.store.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return h.State
}

func (w *world) expire() quarantine.Round {
	w.t.Helper()
	r, err := w.ExpireDue(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}
