package glue_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/filter/attach"
	"postern/filter/clamav"
	"postern/internal/archive"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/internal/relay"
	"postern/internal/relay/client"
	"postern/internal/relay/outbox/outboxtest"
	"postern/internal/stamp"
	"postern/rules"
)

// scanning is a clamd that reads mail and archives, and fails when the test says so.
type scanning struct {
	endpoint string
	dies     atomic.Value // func(stream []byte) bool
	scans    atomic.Int64
}

func startScanning(t testing.TB) *scanning {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &scanning{endpoint: "unix:" + path}
	s.dies.Store(func([]byte) bool { return false })
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, s.answer(conn))
			})
		}
	})
	t.Cleanup(func() { _ = ln.Close(); wg.Wait() })
	return s
}

// answer reads one command; "" is a clamd that died.
func (s *scanning) answer(conn net.Conn) string {
	cmd := make([]byte, 0, 16)
	for b := make([]byte, 1); len(cmd) < 16; cmd = append(cmd, b[0]) {
		if _, err := io.ReadFull(conn, b); err != nil {
			return ""
		}
		if b[0] == 0 {
			break
		}
	}
	if string(cmd) != "zINSTREAM" {
		return "ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026\x00"
	}
	var stream []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return ""
		}
		n := binary.BigEndian.Uint32(size[:])
		if n == 0 {
			break
		}
		at := len(stream)
		stream = append(stream, make([]byte, n)...)
		if _, err := io.ReadFull(conn, stream[at:]); err != nil {
			return ""
		}
	}
	s.scans.Add(1)
	if dies, _ := s.dies.Load().(func([]byte) bool); dies(stream) {
		return ""
	}
	if name := infection(stream); name != "" {
		return "stream: " + name + " FOUND\x00"
	}
	return "stream: OK\x00"
}

// infection is what the clamd of these tests knows.
func infection(stream []byte) string {
	switch {
	case bytes.HasPrefix(stream, []byte("From:")):
		for p := range mime.Bytes(stream, mime.Limits{}).Leaves() {
			if name := infection(p.Decoded()); name != "" {
				return name
			}
		}
	case bytes.HasPrefix(stream, []byte("PK")):
		z, err := zip.NewReader(bytes.NewReader(stream), int64(len(stream)))
		if err != nil || len(z.File) == 0 {
			return ""
		}
		r, err := z.File[0].Open()
		if err != nil {
			return ""
		}
		inside := make([]byte, 1000)
		n, _ := io.ReadFull(r, inside)
		return infection(inside[:n])
	}
	switch {
	case bytes.Contains(stream, mailtest.EICAR()):
		return "Eicar-Test-Signature"
	case bytes.Contains(stream, []byte("X-Whole: evil")):
		return "Whole.Message"
	}
	return ""
}

// copyOf is what one recipient was sent.
type copyOf struct{ block, body string }

// kept is one hold.
type kept struct {
	class, to, body string
	verdict         filter.Verdict
	confirmed       bool
	dropped         bool
}

// mailroom is the world behind a Deliverer: it takes all mail and keeps all holds.
type mailroom struct {
	mu       sync.Mutex
	sent     map[string][]copyOf
	holds    map[string]*kept // by ID
	keys     map[string]string
	backends int // transactions
}

func (w *mailroom) Begin(_ context.Context, _ string, e client.Envelope) (relay.Conn, client.Begun, func(bool), error) {
	b := client.Begun{Mail: client.Reply{Code: 250}, Data: client.Reply{Code: 354}}
	for range e.To {
		b.Rcpt = append(b.Rcpt, client.Reply{Code: 250})
	}
	w.mu.Lock()
	w.backends++
	w.mu.Unlock()
	return &taking{w: w, e: e}, b, func(bool) {}, nil
}

type taking struct {
	w    *mailroom
	e    client.Envelope
	text []byte
}

func (c *taking) Body(_ context.Context, r io.Reader) (err error) {
	c.text, err = io.ReadAll(r)
	if err == nil && int64(len(c.text)) != c.e.Size {
		err = fmt.Errorf("SIZE=%d and %d bytes", c.e.Size, len(c.text))
	}
	return err
}

func (c *taking) End(context.Context) ([]client.Reply, error) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	at := bytes.Index(c.text, []byte("From: a@sender.example"))
	if at < 0 {
		return nil, errors.New("no message")
	}
	for _, to := range c.e.To {
		c.w.sent[to] = append(c.w.sent[to], copyOf{string(c.text[:at]), string(c.text[at:])})
	}
	return []client.Reply{{Code: 250, Enhanced: "2.0.0", Text: "queued"}}, nil
}

func (c *taking) Abort(context.Context) {}

func (w *mailroom) Provisional(_ context.Context, q relay.HoldRequest) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if id, ok := w.keys[q.Key]; ok {
		return id, nil
	}
	text, err := io.ReadAll(q.Message.Open())
	id := fmt.Sprintf("%s-%02d", q.Message.ID, len(w.holds))
	w.keys[q.Key], w.holds[id] = id, &kept{class: q.Class, to: q.Recipient.Address, body: string(text), verdict: q.Verdict}
	return id, err
}

func (w *mailroom) Confirm(_ context.Context, ids []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.holds[id].confirmed = true
	}
	return nil
}

func (w *mailroom) Drop(_ context.Context, ids []string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.holds[id].dropped = true
	}
	return nil
}

func (w *mailroom) Ended(context.Context, string) (string, bool, error) { return "", false, nil }

// policyName says what a policy of these tests does, from "scan-strip-keep" to "blind-tag-lose".
func policyName(scan bool, infected string, keep bool) string {
	return map[bool]string{true: "scan", false: "blind"}[scan] + "-" + infected + "-" + map[bool]string{true: "keep", false: "lose"}[keep]
}

// antivirusPolicies are all there are, and rules that have them.
func antivirusPolicies(t testing.TB) (names []string, set *rules.Set) {
	t.Helper()
	var text strings.Builder
	text.WriteString("policies:\n")
	for _, scan := range []bool{true, false} {
		for _, infected := range []string{"reject", "quarantine", "strip", "tag"} {
			for _, keep := range []bool{true, false} {
				name := policyName(scan, infected, keep)
				names = append(names, name)
				fmt.Fprintf(&text, "  %s: {extends: default, unscannable: accept, antivirus: {scan: %v, infected: %s, keep_original: %v}}\n", name, scan, infected, keep)
			}
		}
	}
	set, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"p.yaml": {Data: []byte(text.String())}}})
	if err != nil {
		t.Fatal(err)
	}
	return names, set
}

// scanner is the real check in front of a clamd.
func scanner(t testing.TB, endpoint string) *clamav.Scanner {
	t.Helper()
	s, err := clamav.New(clamav.Config{Endpoints: []string{endpoint}, StreamMax: 1 << 20, Timeout: 20 * time.Second}, clamav.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func lookingIntoFiles(c filter.Check) *filter.Pipeline {
	return &filter.Pipeline{Steps: []filter.Step{
		{Name: "attachments", Stage: filter.OnData, Check: &attach.Check{Limits: archive.Limits{}}, OnError: filter.Quarantine},
		{Name: "clamav", Stage: filter.OnData, Check: c, Timeout: 20 * time.Second, OnError: filter.Defer},
	}}
}

const reference = "01jd8vzq4cxkp8w2m5r7t9ya3b"

func messageOf(text string, to ...string) *filter.Message {
	m := &filter.Message{
		ID: reference, Time: time.Unix(1_800_000_000, 0).UTC(), Listener: "mx", From: "a@sender.example",
		Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7"), Helo: "sender.example"},
		Body:   strings.NewReader(text), Size: int64(len(text)), SHA256: "of-the-original",
		Parts: sync.OnceValues(func() (*mime.Tree, error) { return mime.Bytes([]byte(text), mime.Limits{}), nil }),
	}
	for i, policy := range to {
		m.To = append(m.To, filter.Recipient{Address: fmt.Sprintf("r%d@%s.example", i, policy), Policy: policy, Backend: "x"})
	}
	return m
}

// newMailroom makes a Deliverer and the world behind it.
func newMailroom(set *rules.Set, p *filter.Pipeline) (*mailroom, *glue.Deliverer) {
	w := &mailroom{sent: map[string][]copyOf{}, holds: map[string]*kept{}, keys: map[string]string{}}
	d := &glue.Deliverer{Rules: &atomic.Pointer[rules.Set]{}, Pipeline: func() *filter.Pipeline { return p }}
	d.Rules.Store(set)
	d.Relay = &relay.Relay{Backends: w, Holds: w, Outbox: outboxtest.NewMemory(), Stamper: &stamp.Stamper{Names: stamp.DefaultNames("mx1.example.com"), Key: []byte("k")}}
	return w, d
}

func inBase64(b []byte) string {
	var out []string
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(b)), 76) {
		out = append(out, string(chunk))
	}
	return strings.Join(out, "\r\n")
}

func zippedUp(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = w.Write(content)
	}
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
