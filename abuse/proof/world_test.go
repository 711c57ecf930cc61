package proof_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/proof"
	"postern/abuse/proof/token"
	"postern/abuse/sent"
	"postern/cmd/postern/gateway/desk"
	"postern/filter"
	"postern/internal/canon"
	"postern/internal/mime"
	"postern/internal/stamp/keys"
	"postern/internal/stamp/sign"
)

// rows is a send log in memory.
type rows struct {
	all map[string]sent.Row
	err error
}

func (s *rows) find(ok func(sent.Row) bool) ([]sent.Row, error) {
	var out []sent.Row
	for _, r := range s.all {
		if ok(r) {
			out = append(out, r)
		}
	}
	return out, s.err
}

func (s *rows) BySerial(_ context.Context, serial string) (sent.Row, error) {
	r, ok := s.all[serial]
	if !ok && s.err == nil {
		return r, sent.ErrNotFound
	}
	return r, s.err
}

func (s *rows) ByMessageID(_ context.Context, id string) ([]sent.Row, error) {
	return s.find(func(r sent.Row) bool { return r.MessageID == id })
}

func (s *rows) ByQueueID(_ context.Context, id string) ([]sent.Row, error) {
	return s.find(func(r sent.Row) bool { return r.QueueID == id })
}

func (s *rows) ByClient(_ context.Context, ip netip.Addr, port uint16, from, to time.Time) ([]sent.Row, error) {
	return s.find(func(r sent.Row) bool {
		return r.Client == netip.AddrPortFrom(ip, port) && !r.At.Before(from) && !r.At.After(to)
	})
}

// world is a gateway that sends: real keys, real tokens, a log in memory.
type world struct {
	t      testing.TB
	now    time.Time
	keys   *keys.Store
	ring   *token.Ring
	log    *rows
	ladder *proof.Ladder
	n      byte
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: time.Now().UTC().Truncate(time.Second), log: &rows{all: map[string]sent.Row{}}}
	clock := func() time.Time { return w.now }
	var err error
	if w.keys, err = keys.Open(t.TempDir(), clock); err != nil {
		t.Fatal(err)
	}
	if _, err = w.keys.Add("x.test", keys.New{Selector: "y", Algorithm: keys.Ed25519}); err != nil {
		t.Fatal(err)
	}
	if _, err = w.keys.SetActive("x.test", "y"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trace.keys")
	if err = token.Ensure(path, w.now); err != nil {
		t.Fatal(err)
	}
	if w.ring, err = token.Open(path, clock); err != nil {
		t.Fatal(err)
	}
	w.ladder = &proof.Ladder{Tokens: w.ring, Log: w.log, Verify: desk.OwnSignatures{Keys: w.keys, Now: clock}.Verify, Now: clock}
	return w
}

const words = "Dear customer, our autumn catalogue is here: forty pages of lamps, chairs and tables at prices that we have not seen for years. Visit our shop or order by telephone until the end of the month.\r\n"

// mail is one message that went out.
type mail struct {
	raw []byte
	row sent.Row
}

// send sends a message of an account: token, signature, row.
func (w *world) send(account, body string, to ...string) mail {
	w.t.Helper()
	w.n++
	serial, err := filter.NewID(w.now, bytes.NewReader(bytes.Repeat([]byte{w.n}, 16)))
	if err != nil {
		w.t.Fatal(err)
	}
	mark, err := w.ring.Seal(account, token.Trace{Serial: serial})
	if err != nil {
		w.t.Fatal(err)
	}
	id := fmt.Sprintf("m%d@x.test", w.n)
	text := "From: Anna <anna@x.test>\r\nTo: " + strings.Join(to, ", ") + "\r\nSubject: News\r\nDate: " + w.now.Format(time.RFC1123Z) +
		"\r\nMessage-ID: <" + id + ">\r\nX-Postern-Trace: " + mark + "\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + body
	signer := &sign.Signer{Keys: w.keys, Now: func() time.Time { return w.now }}
	sig, err := signer.Sign(&filter.Message{ID: serial, Time: w.now, From: "anna@x.test"}, func() (io.Reader, error) { return strings.NewReader(text), nil })
	if err != nil || len(sig) == 0 {
		w.t.Fatalf("not signed: %v", err)
	}
	m := mail{raw: append(sig, text...)}
	m.row = sent.Row{
		Serial: serial, At: w.now, Account: account, Login: account, Client: netip.MustParseAddrPort("203.0.113.7:51514"),
		From: "anna@x.test", MessageID: id, QueueID: "Q" + strings.ToUpper(serial[20:]), BodyHash: bodyHash(w.t, m.raw), Fuzzy: likeness(w.t, m.raw), Size: int64(len(m.raw)),
	}
	for _, r := range to {
		m.row.Copies = append(m.row.Copies, sent.Copy{Recipient: r, State: sent.Delivered})
	}
	w.log.all[serial] = m.row
	return m
}

func bodyHash(t testing.TB, raw []byte) string {
	_, body, err := canon.Read(bytes.NewReader(raw))
	sum := canon.NewBody(true)
	if err := errors.Join(err, canon.HashBody(body, sum)); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sum.Sum())
}

func likeness(t testing.TB, raw []byte) string {
	tree, err := mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return sent.Likeness(tree.Text() + "\n" + tree.HTMLText())
}

func (w *world) prove(r complaint.Report, who proof.Reporter) proof.Proof {
	w.t.Helper()
	p, err := w.ladder.Prove(w.t.Context(), r, who)
	if err != nil {
		w.t.Fatal(err)
	}
	if p.Sentence == "" || len(p.Transcript) == 0 {
		w.t.Errorf("no words: %+v", p)
	}
	return p
}

// whole is a report with the whole message in it.
func whole(raw []byte, rcpt ...string) complaint.Report {
	return complaint.Report{Format: complaint.ARF, Feedback: "abuse", Original: raw, Whole: true, Claims: complaint.Claims{RcptTo: rcpt}}
}

var (
	feed     = proof.Reporter{Trust: proof.T3, Feed: "bigisp", Address: "fbl@bigisp.example"}
	stranger = proof.Reporter{Trust: proof.T1, Address: "bob@else.example"}
	nobody   = proof.Reporter{}
)

func redact(s string) string {
	sum := sha256.Sum256([]byte("potatoes" + s))
	return base64.StdEncoding.EncodeToString(sum[:])
}
