package intake_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/intake"
	"postern/abuse/intake/feeds"
	"postern/abuse/proof"
	"postern/abuse/proof/token"
	"postern/abuse/sent"
	"postern/filter"
	"postern/internal/canon"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
)

// book records what the cases are told.
type book struct {
	all  []cases.Complaint
	fail error
}

func (b *book) Attach(_ context.Context, c cases.Complaint) (cases.Case, error) {
	if b.fail != nil {
		return cases.Case{}, b.fail
	}
	if err := c.Check(); err != nil {
		return cases.Case{}, err
	}
	id := "A-2026-" + c.Account + c.Fold
	if !slices.ContainsFunc(b.all, func(o cases.Complaint) bool { return o.Report == c.Report }) {
		b.all = append(b.all, c)
	}
	return cases.Case{ID: id}, nil
}

func (b *book) votes() (n int) {
	for _, c := range b.all {
		n += c.Votes
	}
	return n
}

// reports counts those it was told of, one by one or together.
func (b *book) reports() (n int) {
	for _, c := range b.all {
		n += 1 + c.More
	}
	return n
}

// marks opens "v1.SERIAL".
type marks struct{}

func (marks) Find(value string) (token.Trace, error) {
	serial, ok := strings.CutPrefix(strings.TrimSpace(value), "v1.")
	if !ok {
		return token.Trace{}, token.ErrNotOurs
	}
	return token.Trace{Serial: serial, Key: "1", Minute: start}, nil
}
func (marks) Names(token.Trace, string) bool { return true }

// rows is a send log in memory.
type rows struct {
	all map[string]sent.Row
	err error
}

func (s *rows) BySerial(_ context.Context, serial string) (sent.Row, error) {
	r, ok := s.all[serial]
	if !ok && s.err == nil {
		return r, sent.ErrNotFound
	}
	return r, s.err
}
func (s *rows) ByMessageID(context.Context, string) ([]sent.Row, error) { return nil, s.err }
func (s *rows) ByQueueID(context.Context, string) ([]sent.Row, error)   { return nil, s.err }
func (s *rows) ByClient(context.Context, netip.Addr, uint16, time.Time, time.Time) ([]sent.Row, error) {
	return nil, s.err
}

var start = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

type world struct {
	t       testing.TB
	now     time.Time
	home    *entities.Memory
	book    *book
	log     *rows
	desk    *intake.Desk
	copies  [][]byte
	replays []string
	n       int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: start, book: &book{}, log: &rows{all: map[string]sent.Row{}}}
	clock := func() time.Time { return w.now }
	w.home = &entities.Memory{Now: clock}
	w.desk = w.reopen()
	return w
}

// reopen is the desk after a restart: nothing but the home is left.
func (w *world) reopen() *intake.Desk {
	clock := func() time.Time { return w.now }
	d := &intake.Desk{
		Home: w.home, Cases: w.book, Feeds: &feeds.Book{Home: w.home, Now: clock}, Now: clock, Log: slog.New(slog.DiscardHandler), Hostname: "mx1.x.test",
		Ladder: &proof.Ladder{Tokens: marks{}, Log: w.log, Now: clock},
		Replayed: func(_ context.Context, serial, account string, n int) {
			w.replays = append(w.replays, fmt.Sprint(serial, account, n))
		},
		Postmaster: func(a string) bool { return strings.HasPrefix(a, "postmaster@") },
		Takes:      func(a string) bool { return strings.HasPrefix(a, "abuse@") },
	}
	d.Open()
	return d
}

// send writes a message into the send log and returns it.
func (w *world) send(account, body string, to ...string) []byte {
	w.n++
	serial := fmt.Sprintf("%026d", w.n)
	raw := []byte("From: " + account + "@x.test\r\nTo: " + strings.Join(to, ", ") + "\r\nMessage-ID: <" + serial + "@x.test>\r\nX-Postern-Trace: v1." + serial + "\r\n\r\n" + body)
	_, r, err := canon.Read(bytes.NewReader(raw))
	sum := canon.NewBody(true)
	if err := errors.Join(err, canon.HashBody(r, sum)); err != nil {
		w.t.Fatal(err)
	}
	row := sent.Row{Serial: serial, At: w.now, Account: account, Client: netip.MustParseAddrPort("203.0.113.7:51514"), MessageID: serial + "@x.test", BodyHash: base64.StdEncoding.EncodeToString(sum.Sum()), Fuzzy: sent.Likeness(body)}
	for _, a := range to {
		row.Copies = append(row.Copies, sent.Copy{Recipient: a, State: sent.Delivered})
	}
	w.log.all[serial] = row
	return raw
}

// arf wraps a message into a feedback report.
func arf(from string, original []byte, fields ...string) string {
	return "From: " + from + "\r\nTo: abuse@x.test\r\nSubject: report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nThis is a report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: test/1\r\nVersion: 1\r\n" +
		strings.Join(append(fields, ""), "\r\n") + "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + string(original) + "\r\n--b--\r\n"
}

// from is who a mail comes from and what was checked of it.
type from struct {
	mailFrom, ip, account string
	to                    string // "" = abuse@x.test
	dmarc                 string // author's domain where DMARC passed
	dkim                  []string
}

func (f from) report() filter.Report {
	var r filter.Report
	add := func(method, result string, props ...filter.AuthProp) {
		r.Findings = append(r.Findings, filter.Finding{Auth: &filter.AuthResult{Method: method, Result: result, Props: props}})
	}
	add("spf", "pass")
	for _, d := range f.dkim {
		add("dkim", "pass", filter.AuthProp{Type: "header", Name: "d", Value: d})
	}
	add("dkim", "fail", filter.AuthProp{Type: "header", Name: "d", Value: "forged.example"})
	if f.dmarc != "" {
		add("dmarc", "pass", filter.AuthProp{Type: "header", Name: "from", Value: f.dmarc})
	} else {
		add("dmarc", "fail")
	}
	return r
}

func (w *world) message(f from, raw string) *filter.Message {
	w.n++
	if f.ip == "" {
		f.ip = "192.0.2.7"
	}
	sum := sha256.Sum256([]byte(raw))
	m := &filter.Message{
		ID: fmt.Sprintf("m%d", w.n), Time: w.now, Listener: "mx", Client: filter.Client{IP: netip.MustParseAddr(f.ip), Port: 4711, Helo: "mail.else.example", TLS: filter.TLSInfo{Version: "TLS 1.3", Cipher: "AES"}},
		Account: f.account, From: f.mailFrom, Body: strings.NewReader(raw), Size: int64(len(raw)), SHA256: hex.EncodeToString(sum[:]),
	}
	m.Parts = func() (*mime.Tree, error) {
		return mime.Walk(strings.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
	}
	return m
}

// arrive takes a mail as the relay does, up to the 250.
func (w *world) arrive(f from, raw string) string {
	w.t.Helper()
	m := w.message(f, raw)
	to := f.to
	if to == "" {
		to = "abuse@x.test"
	}
	id, err := w.desk.Provisional(w.t.Context(), intake.Arrival{Message: m, Report: f.report(), To: []string{to}, Key: m.From + m.SHA256, By: intake.ByMail})
	if err == nil {
		err = w.desk.Confirm(w.t.Context(), id)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

func (w *world) round() int {
	w.t.Helper()
	n, err := w.desk.Round(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func (w *world) get(id string) (intake.Report, intake.Work) {
	w.t.Helper()
	r, x, err := w.desk.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r, x
}

func (w *world) bytes(r intake.Report) string {
	w.t.Helper()
	f, err := w.desk.Bytes(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

var (
	bob     = from{mailFrom: "bob@else.example", dmarc: "else.example", dkim: []string{"else.example"}}
	unknown = from{mailFrom: "someone@nowhere.example"}
)

// The end comes at once, also while the store does not answer.
func TestRunEndsWhileNothingWorks(t *testing.T) {
	w := newWorld(t)
	away := errors.New("away")
	w.desk.Alone = func(context.Context, string, func(context.Context) error) error { return away }
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.desk.Run(ctx) }()
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it goes on after its end")
	}
}
