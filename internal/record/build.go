package record

import (
	"strings"
	"time"

	"postern/filter"
)

// Bounds on stored text, in bytes.
const (
	maxAddress   = 400
	maxName      = 255
	maxSubject   = 500
	maxMessageID = 400
	maxReply     = 500
	maxReason    = 200
	maxSymbols   = 100
)

// aborted is the fate of a copy whose transaction ended before anybody decided about it.
const aborted = "aborted"

// Headers are the fields of a message that people search for.
type Headers struct {
	Subject   string // decoded
	MessageID string // with or without angle brackets
}

// Build makes the row of one transaction. Every recipient has a fate in it: one the outcome
// does not name was aborted.
func Build(node string, m *filter.Message, o filter.Outcome, h Headers) Row {
	r := Row{
		ID: m.ID, Time: m.Time.UTC(), Node: node, Direction: m.Direction.String(), Listener: m.Listener,
		Client:  Client{Port: m.Client.Port, Name: Clean(m.Client.Name, maxName), Helo: Clean(m.Client.Helo, maxName), TLS: m.Client.TLS.Version},
		Account: Clean(m.Account, maxAddress), From: Clean(m.From, maxAddress),
		Subject: Clean(h.Subject, maxSubject), MessageID: Clean(strings.Trim(h.MessageID, "<> \t\r\n"), maxMessageID),
		Size: m.Size, SHA256: m.SHA256, Reply: Clean(o.Reply, maxReply), Delay: delays(o.Times), Symbols: []string{},
	}
	r.DNSCut = m.DNS != nil && m.DNS.Cut()
	if m.Client.IP.IsValid() {
		r.Client.IP = m.Client.IP.Unmap().String()
	}
	var top filter.Verdict
	for i, to := range m.To {
		f := Fate{Address: Clean(to.Address, maxAddress), Policy: to.Policy, State: aborted}
		if i < len(o.Fates) {
			fate(&f, o.Fates[i])
		}
		if i < len(o.Verdicts) {
			v := o.Verdicts[i]
			f.judged(v)
			if i == 0 || v.Action > top.Action {
				top = v
			}
		}
		r.To = append(r.To, f)
	}
	r.Action, r.Score = top.Action.String(), top.Score
	r.Symbols, r.Unchecked = symbols(o), unchecked(o.Report.Failures)
	r.Weights = weights(r.Symbols, top)
	return r
}

// judged adds what the rules said of this copy, as far as it came to it.
func (f *Fate) judged(v filter.Verdict) {
	f.Action, f.Score, f.Softened = v.Action.String(), v.Score, v.Softened
	f.Greylisted = v.Greylisted && f.State == string(filter.Deferred)
	if f.State == string(filter.Delivered) || f.State == string(filter.InOutbox) {
		f.Stripped = v.Strip
	}
}

func fate(f *Fate, from filter.Fate) {
	switch from.State {
	case filter.Delivered, filter.Held, filter.Rejected, filter.Deferred, filter.InOutbox:
		f.State = string(from.State)
	}
	f.Backend, f.Reply = Clean(from.Backend, maxName), Clean(from.Reply, maxReply)
	f.Hold, f.Ambiguous = from.Hold, from.Ambiguous
}

// symbols lists what was found, each once, in the order found.
func symbols(o filter.Outcome) []string {
	out := []string{}
	seen := map[string]bool{}
	add := func(s string) {
		if s != "" && !seen[s] && len(out) < maxSymbols {
			seen[s] = true
			out = append(out, s)
		}
	}
	for _, f := range o.Report.Findings {
		if !f.Quiet {
			add(f.Symbol)
		}
	}
	for _, v := range o.Verdicts {
		for _, r := range v.Reasons {
			add(r.Symbol)
		}
	}
	return out
}

// weights are what each symbol added to the score of a verdict; nil where none did.
func weights(symbols []string, v filter.Verdict) []int32 {
	by := map[string]int32{}
	any := false
	for _, r := range v.Reasons {
		by[r.Symbol] += int32(min(max(r.Score, -1e6), 1e6)) //nolint:gosec // bounded in the same line
		any = any || r.Score != 0
	}
	if !any {
		return nil
	}
	out := make([]int32, len(symbols))
	for i, s := range symbols {
		out[i] = by[s]
	}
	return out
}

func unchecked(failures []filter.Failure) []Unchecked {
	var out []Unchecked
	for _, f := range failures {
		out = append(out, Unchecked{Step: f.Step, Reason: Clean(f.Reason, maxReason)})
	}
	return out
}

func delays(t filter.Times) Delay {
	return Delay{
		Receive: between(t.Data, t.Received), Check: between(t.Received, t.Checked),
		Relay: between(t.Checked, t.Relayed), Total: between(t.Start, t.Done),
	}
}

// between is the time from one moment to the next in milliseconds, -1 when one is missing. A
// clock that was set back in between makes it 0, never negative.
func between(from, to time.Time) int64 {
	if from.IsZero() || to.IsZero() {
		return -1
	}
	return max(0, to.Sub(from).Milliseconds())
}
