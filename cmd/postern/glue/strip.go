package glue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/filter/clamav"
	"postern/internal/mime"
	"postern/internal/mime/rebuild"
)

// StripFailed is the reason of a verdict that holds a message whole because its infected
// parts could not be taken out for certain.
const StripFailed = "STRIP_FAILED"

const stripFailedWords = "Infected parts could not be taken out for certain, so the message is held whole"

// stripTime bounds building one message without its infected parts and scanning it again. A
// message that is late is held, not deferred: it would be late again.
const stripTime = 20 * time.Second

// strip makes the messages that verdicts ask for by naming parts to leave out: one body per
// recipient, nil for the message as it came. What is left is walked and scanned again. Where
// anything is in doubt the verdict becomes a hold of the original that says why.
func (d *Deliverer) strip(ctx context.Context, m *filter.Message, r filter.Report, verdicts []filter.Verdict) []*filter.Message {
	type result struct {
		m   *filter.Message
		err error
	}
	made := map[string]result{}
	var bodies []*filter.Message
	for i := range verdicts {
		v := &verdicts[i]
		if len(v.Strip) == 0 || v.Action > filter.Tag {
			continue
		}
		key := fmt.Sprint(v.Keep, v.Strip)
		got, ok := made[key]
		if !ok {
			got.m, got.err = d.without(ctx, m, r, *v)
			made[key] = got
		}
		if got.err != nil {
			d.log().Warn("infected parts not taken out", "message", m.ID, "parts", v.Strip, "error", got.err)
			why := filter.Reason{Symbol: StripFailed, Describe: stripFailedWords, Detail: plainly(got.err), Decides: true}
			v.Action, v.Strip, v.Reasons = filter.Quarantine, nil, slices.Concat([]filter.Reason{why}, v.Reasons)
			for j := range v.Reasons[1:] {
				v.Reasons[1+j].Decides = false
			}
			continue
		}
		if bodies == nil {
			bodies = make([]*filter.Message, len(verdicts))
		}
		bodies[i] = got.m
	}
	return bodies
}

// without is the message that lacks the parts v names, found clean.
func (d *Deliverer) without(ctx context.Context, m *filter.Message, r filter.Report, v filter.Verdict) (*filter.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, stripTime)
	defer cancel()
	if m.Parts == nil {
		return nil, &filter.CouldNot{Words: "its parts are not known"}
	}
	tree, err := m.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "it could not be read again", Cause: err}
	}
	var out []rebuild.Removal
	for _, path := range v.Strip {
		out = append(out, rebuild.Removal{Path: path, Text: notice(m, tree, r, path, v.Keep)})
	}
	body, err := rebuild.New(m.Body, m.Size, tree, out)
	if err != nil {
		return nil, err
	}
	now, err := replaced(m, body)
	if err != nil {
		return nil, err
	}
	again, err := now.Parts()
	if err != nil {
		return nil, &filter.CouldNot{Words: "what was left could not be read", Cause: err}
	}
	if err := rebuild.Same(tree, again, out); err != nil {
		return nil, err
	}
	return now, d.rescan(ctx, now, r)
}

// replaced is m with another body.
func replaced(m *filter.Message, body *rebuild.Message) (*filter.Message, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(body, 0, body.Size())); err != nil {
		return nil, &filter.CouldNot{Words: "it could not be read again", Cause: err}
	}
	now := *m
	now.Body, now.Size, now.SHA256 = body, body.Size(), hex.EncodeToString(h.Sum(nil))
	now.Parts = sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(body, body.Size(), mime.DefaultLimits()) })
	return &now, nil
}

// rescan runs the steps that look into files over what is left. Only a symbol that the
// original had too may be found, and nothing infected or unreadable at all; every step must
// answer.
func (d *Deliverer) rescan(ctx context.Context, m *filter.Message, before filter.Report) error {
	p, ok := d.scanning()
	if !ok {
		return &filter.CouldNot{Words: "nothing is there to scan what was left"}
	}
	after := p.Run(ctx, filter.OnData, m)
	if len(after.Failures) > 0 {
		f := after.Failures[0]
		return &filter.CouldNot{Words: "what was left could not be checked: " + f.Step + " " + f.Reason, Cause: f.Err}
	}
	for _, f := range after.Findings {
		known := slices.ContainsFunc(before.Findings, func(b filter.Finding) bool { return b.Symbol == f.Symbol && b.Step == f.Step })
		if f.Symbol == clamav.Virus || f.Symbol == clamav.Unscannable || !known {
			return &filter.CouldNot{Words: "what was left shows " + f.Symbol, Cause: errors.New(f.Detail)}
		}
	}
	return nil
}

// scanning is the pipeline in force, reduced to the steps that look into files; ok is false
// where no virus scanner is among them.
func (d *Deliverer) scanning() (p *filter.Pipeline, ok bool) {
	if d.Pipeline == nil {
		return nil, false
	}
	only := *d.Pipeline()
	only.Steps = nil
	for _, s := range d.Pipeline().Steps {
		if s.Stage == filter.OnData && (s.Name == steps.StepAttach || s.Name == steps.StepClamAV) {
			only.Steps = append(only.Steps, s)
			ok = ok || s.Name == steps.StepClamAV
		}
	}
	return &only, ok
}

// notice is what a person reads where a part was.
func notice(m *filter.Message, tree *mime.Tree, r filter.Report, path string, keep bool) string {
	name := ""
	for _, p := range tree.Parts {
		if p.Path == path {
			name = rebuild.Name(p)
		}
	}
	var found []string
	for _, f := range r.Findings {
		if s := rebuild.Printable(f.Detail); f.Symbol == clamav.Virus && f.Part == path && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	original := ""
	if keep {
		original = "The message as it was sent is kept for a while.\n"
	}
	return "A part of this message was removed because malware was found in it.\n\n" +
		"  Name:  " + name + "\n  Found: " + strings.Join(found, ", ") + "\n\n" +
		"What is not marked like this is as it was sent.\n" + original +
		"If you need what was removed, ask the sender whether it was meant for\n" +
		"you, and then your postmaster. Reference: " + m.ID + "\n"
}

// plainly says an error in words that may be stored and shown.
func plainly(err error) string {
	var no *rebuild.Refused
	var plain filter.PlainError
	switch {
	case errors.As(err, &no):
		return no.Reason
	case errors.As(err, &plain):
		return plain.Plain()
	}
	return "internal fault"
}

func (d *Deliverer) log() *slog.Logger {
	if d.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return d.Log
}
