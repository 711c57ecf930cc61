package judge

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/mail"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/mime"
	"postern/rules"
)

// MaxFile bounds a message file that scan and eval read.
const MaxFile = 100 << 20

// Circumstances are what a message file cannot say of itself.
type Circumstances struct {
	ip       netip.Addr
	helo     string
	from     string
	fromSet  bool
	to       []string
	Now      time.Time
	dated    bool         // Now is when the message came; else its header tells
	recorded filter.Check // stands in for SPF, DKIM and DMARC
}

// judged is a file's verdict.
type judged struct {
	message *filter.Message
	report  filter.Report
	verdict filter.Verdict // the worst over its recipients
}

// Offline judges message files with the pipeline, outside any SMTP session.
type Offline struct {
	pipeline *filter.Pipeline
	set      *rules.Set
	proposed *rules.Set // judges as well; nil: there is none
}

// judge walks the stages as a session would and returns the worst verdict.
func (o *Offline) judge(ctx context.Context, raw []byte, c Circumstances) (judged, error) {
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
		if s.Name == steps.StepSPF || s.Name == steps.StepAuth {
			continue
		}
		q.Steps = append(q.Steps, s)
	}
	q.Steps = append(q.Steps, filter.Step{Name: steps.StepAuth, Stage: filter.OnData, Check: recorded})
	return &q
}

func (o *Offline) message(raw []byte, c Circumstances) (*filter.Message, error) {
	body := toCRLF(raw)
	id, err := filter.NewID(c.Now, rand.Reader)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	r := bytes.NewReader(body)
	m := &filter.Message{
		ID: id, Time: c.Now, Listener: "scan", From: c.from, Body: r, Size: int64(len(body)),
		SHA256: hex.EncodeToString(sum[:]),
		Client: filter.Client{IP: c.ip, Helo: c.helo},
		Parts: sync.OnceValues(func() (*mime.Tree, error) {
			return mime.Walk(bytes.NewReader(body), int64(len(body)), mime.DefaultLimits())
		}),
	}
	if !c.fromSet {
		m.From = returnPath(m)
	}
	if !c.dated {
		m.Time = arrived(m, c.Now)
	}
	for _, to := range c.to {
		m.To = append(m.To, filter.Recipient{Address: to, Policy: o.set.PolicyFor(to)})
	}
	if len(m.To) == 0 {
		// Nobody in particular: the policy of "*", not that of the real postmaster.
		m.To = []filter.Recipient{{Address: "postmaster", Policy: o.set.PolicyFor("")}}
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

// arrived is when a file's message came, as far as its header tells: by the last hop, or when
// it was written.
func arrived(m *filter.Message, now time.Time) time.Time {
	t, err := m.Parts()
	if err != nil || t.Root == nil {
		return now
	}
	hop := t.Root.Header.Get("Received")
	for _, value := range []string{hop[strings.LastIndexByte(hop, ';')+1:], t.Root.Header.Get("Date")} {
		if at, err := mail.ParseDate(strings.TrimSpace(value)); err == nil && at.Before(now) {
			return at
		}
	}
	return now
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

// readMessage reads a file, or standard input for "-", up to MaxFile.
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
	b, err := io.ReadAll(io.LimitReader(r, MaxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, MaxFile)
	}
	return b, nil
}

type options struct {
	config string // configuration to judge with; "" = the embedded defaults
	dns    bool

	learned bool // by what was learned too

	set *rules.Set // judges; nil: the rules of the configuration
}

// build makes what scan and eval judge with.
func build(a *app.App, o options) (*Offline, func(), error) {
	cfg := config.Default()
	cfg.Rules.Dir = ""
	cfg.DNS.Budget, cfg.DNS.Timeout = config.Duration(3*time.Second), config.Duration(1500*time.Millisecond)
	if o.config != "" {
		var err error
		if cfg, err = config.Load(o.config); err != nil {
			return nil, nil, err
		}
	}
	set := o.set
	if set == nil {
		var err error
		if set, err = app.LoadRules(cfg.Rules.Dir); err != nil {
			return nil, nil, err
		}
	}
	p, done, err := steps.Offline(a.Ctx, cfg, set, a.QuietLog(), a.Now, o.dns, setup.Pictures(cfg, a.Self, a.QuietLog()))
	if err != nil {
		return nil, nil, err
	}
	out := &Offline{pipeline: p, set: set}
	if !o.learned {
		return out, done, nil
	}
	hangUp, err := out.withLearned(a)
	if err != nil {
		done()
		return nil, nil, err
	}
	return out, func() { hangUp(); done() }, nil
}

// ContentOnly judges by what the message itself says.
func ContentOnly(set *rules.Set) *Offline {
	p := &steps.Checks{}
	return &Offline{pipeline: steps.Pipeline(*p, set, config.Default(), nil), set: set}
}
