package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"postern/cmd/postern/gateway"
	"postern/filter"
	"postern/internal/mime"
	"postern/rules"
)

// maxFile bounds a message file that scan and eval read.
const maxFile = 100 << 20

// circumstances are what a message file cannot say of itself.
type circumstances struct {
	ip       netip.Addr
	helo     string
	from     string
	fromSet  bool
	to       []string
	now      time.Time
	recorded filter.Check // stands in for SPF, DKIM and DMARC
}

// judged is a file's verdict.
type judged struct {
	message *filter.Message
	report  filter.Report
	verdict filter.Verdict // the worst over its recipients
}

// offline judges message files with the pipeline, outside any SMTP session.
type offline struct {
	pipeline *filter.Pipeline
	set      *rules.Set
}

// judge walks the stages as a session would and returns the worst verdict.
func (o *offline) judge(ctx context.Context, raw []byte, c circumstances) (judged, error) {
	m, err := o.message(raw, c)
	if err != nil {
		return judged{}, err
	}
	body := m.Body
	m.Body = nil
	p := o.pipeline
	if c.recorded != nil {
		p = replaceAuth(p, c.recorded)
	}
	var all filter.Report
	for _, stage := range []filter.Stage{filter.OnConnect, filter.OnSender, filter.OnRecipient} {
		all.Join(p.Run(ctx, stage, m))
	}
	m.Seen, m.Body = all.Findings, body
	all.Join(p.Run(ctx, filter.OnData, m))
	out := judged{message: m, report: all}
	for i, v := range filter.Verdicts(o.set, m, all) {
		if i == 0 || v.Action > out.verdict.Action {
			out.verdict = v
		}
	}
	return out, nil
}

// replaceAuth puts recorded results in the place of the authentication steps.
func replaceAuth(p *filter.Pipeline, recorded filter.Check) *filter.Pipeline {
	q := *p
	q.Steps = nil
	for _, s := range p.Steps {
		if s.Name == gateway.StepSPF || s.Name == gateway.StepAuth {
			continue
		}
		q.Steps = append(q.Steps, s)
	}
	q.Steps = append(q.Steps, filter.Step{Name: gateway.StepAuth, Stage: filter.OnData, Check: recorded})
	return &q
}

func (o *offline) message(raw []byte, c circumstances) (*filter.Message, error) {
	body := toCRLF(raw)
	id, err := filter.NewID(c.now, rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	r := bytes.NewReader(body)
	m := &filter.Message{
		ID: id, Time: c.now, Listener: "scan", From: c.from, Body: r, Size: int64(len(body)),
		SHA256: hex.EncodeToString(sum[:]),
		Client: filter.Client{IP: c.ip, Helo: c.helo},
		Parts: sync.OnceValues(func() (*mime.Tree, error) {
			return mime.Walk(bytes.NewReader(body), int64(len(body)), mime.DefaultLimits())
		}),
	}
	if !c.fromSet {
		m.From = returnPath(m)
	}
	for _, to := range c.to {
		m.To = append(m.To, filter.Recipient{Address: to, Policy: o.set.PolicyFor(to)})
	}
	if len(m.To) == 0 {
		m.To = []filter.Recipient{{Address: "postmaster", Policy: o.set.PolicyFor("postmaster")}}
	}
	return m, nil
}

// returnPath is the envelope sender that a delivered file remembers.
func returnPath(m *filter.Message) string {
	t, err := m.Parts()
	if err != nil || t.Root == nil {
		return ""
	}
	return strings.Trim(strings.TrimSpace(t.Root.Header.Get("Return-Path")), "<>")
}

// toCRLF makes every line end CRLF: files may have LF, CRLF or both.
func toCRLF(raw []byte) []byte {
	if bytes.Count(raw, []byte("\n")) == bytes.Count(raw, []byte("\r\n")) {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(raw)/32)
	for i, c := range raw {
		if c == '\n' && (i == 0 || raw[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, c)
	}
	return out
}

// readMessage reads a file, or standard input for "-", up to maxFile.
func readMessage(path string, stdin io.Reader) ([]byte, error) {
	r := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	b, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return b, nil
}
