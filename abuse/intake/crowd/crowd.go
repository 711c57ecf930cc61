// Package crowd stands at the door of the intake: it counts strangers before anything is written,
// and has what is one of a flood kept together with the others.
package crowd

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	"postern/abuse/intake/flood"
	"postern/abuse/intake/sheaf"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/abuse/proof/token"
	"postern/filter"
)

// Door counts who comes; the worker counts again what it reads. Its zero value lets everybody in.
type Door struct {
	Gather *sheaf.Gatherer
	Alias  func(address string) bool // of a feedback loop
	Tokens proof.Tokens              // nil: there are none

	mu    sync.Mutex
	rates flood.Buckets
}

// Reports amid a flood that are worked on all the same because of a token of ours in them.
const (
	tracedOf   = 5   // of one message of ours, an hour
	tracedMost = 600 // together, an hour
	tokensMost = 16  // what looks like a token, of one report
	tokenRoom  = 400 // octets that one may take, folded
)

// Take keeps a report that is one of a flood together with the others; "" says that it is none,
// and is kept by itself.
func (d *Door) Take(ctx context.Context, r *shelf.Report, m *filter.Message, rates flood.Rates) (string, error) {
	if d.Gather == nil || m.Size > sheaf.EachMost || r.Proved() {
		return "", nil
	}
	if len(r.Auth.DKIM) > 0 { // a feedback loop has a rate of its own
		for _, to := range r.To {
			if d.Alias(to) {
				return "", nil
			}
		}
	}
	fold := d.crowded(*r, rates)
	if fold == "" {
		return "", nil
	}
	text, err := io.ReadAll(m.Open())
	if err != nil {
		return "", fmt.Errorf("reading report %s: %w", r.ID, err)
	}
	if r.Traced = d.traced(*r, text); r.Traced {
		return "", nil
	}
	return d.Gather.Keep(ctx, *r, fold, text)
}

// crowded says which flood a report of somebody unproved belongs to, "" = none.
func (d *Door) crowded(r shelf.Report, rates flood.Rates) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rates.Take("network "+flood.Network(r.Client), rates.Network, r.At) && d.rates.Take("unproved", rates.Unproved, r.At) {
		return ""
	}
	return flood.Name("unproved", "", r.At)
}

// traced reports whether a token of ours stands in a report as it came: it may be about mail
// that was really sent. One message of ours opens the door a few times only.
func (d *Door) traced(r shelf.Report, text []byte) bool {
	if d.Tokens == nil {
		return false
	}
	for range tokensMost {
		at := bytes.Index(text, []byte(token.Version[:len(token.Version)-1]))
		if at < 0 {
			return false
		}
		text = text[at:]
		if t, err := d.Tokens.Find(string(text[:min(len(text), tokenRoom)])); err == nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.rates.Take("token "+t.Serial, tracedOf, r.At) && d.rates.Take("tokens", tracedMost, r.At)
		}
		text = text[len(token.Version):]
	}
	return false
}
