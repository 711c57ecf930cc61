package report

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/filter"
	"postern/internal/report/aggregate"
)

// Collector counts the outcome of each message for the report of its author's domain. It is
// a filter.Observer.
type Collector struct {
	Store Store
	Now   func() time.Time
	Log   *slog.Logger
	// Own reports recipients at which reports come in: what is sent to them is not reported
	// on, or two sites would report on each other's reports for ever.
	Own func(address string) bool
	// SameOrg reports whether two domains belong to one organization (RFC 9989 section 4.10.2).
	SameOrg func(ctx context.Context, a, b string) bool

	mu      sync.Mutex
	waiting map[string]Row // by key, not yet in the store
}

// Counts are written together: after flushEvery, or when so many kinds of them wait.
const (
	flushEvery = 10 * time.Second
	flushMost  = 2000
)

// Done implements filter.Observer.
func (c *Collector) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	row, ok := c.row(ctx, m, o)
	if !ok {
		return nil
	}
	key := row.Key()
	c.mu.Lock()
	if c.waiting == nil {
		c.waiting = map[string]Row{}
	}
	if old, ok := c.waiting[key]; ok {
		row.Record.Row.Count += old.Record.Row.Count
	}
	c.waiting[key] = row
	full := len(c.waiting) >= flushMost
	c.mu.Unlock()
	if full {
		c.Flush(ctx)
	}
	return nil
}

// Run writes counts until ctx ends, and then what is left.
func (c *Collector) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			c.Flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			c.Flush(ctx)
		}
	}
}

// Flush writes what waits. A failing store costs the counts and no mail.
func (c *Collector) Flush(ctx context.Context) {
	c.mu.Lock()
	waiting := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	if len(waiting) == 0 {
		return
	}
	if err := c.Store.Count(ctx, slices.Collect(maps.Values(waiting))...); err != nil {
		c.Log.Warn("messages are missing in the DMARC reports", "kinds", len(waiting), "err", err)
	}
}

// row is what a message adds to a report; false: nothing. Mail that was refused for what it
// is, and not for its author's policy, is left out: who sends spam from a domain of his own is
// told nothing.
func (c *Collector) row(ctx context.Context, m *filter.Message, o filter.Outcome) (Row, bool) {
	result := find(o.Report, "dmarc")
	if m.Direction != filter.Inbound || result == nil || result.Record == "" || !decided(o) || c.aReport(m) {
		return Row{}, false
	}
	disposition, acting := dispositionOf(o)
	if disposition == "reject" && acting != "DMARC_REJECT" {
		return Row{}, false
	}
	author := prop(result, "header", "from")
	tags := Tags(result.Record)
	rec := aggregate.Record{
		Row: aggregate.Row{Source: m.Client.IP.Unmap().String(), Count: 1, Evaluated: aggregate.Evaluated{DKIM: "fail", SPF: "fail"}},
		IDs: aggregate.Identifiers{HeaderFrom: author},
	}
	c.signatures(ctx, &rec, o.Report, author, tags["adkim"] == "s")
	c.envelope(ctx, &rec, m, o.Report, author, tags["aspf"] == "s")
	e := &rec.Row.Evaluated
	e.Disposition = disposition
	switch {
	case e.DKIM == "pass" || e.SPF == "pass":
		if disposition == "none" {
			e.Disposition = "pass"
		}
	default:
		e.Reasons = overrides(o, tags, asked(tags, author == result.At), disposition)
	}
	return Row{Day: DayOf(c.Now()), Domain: result.At, DMARC: result.Record, Record: rec}, true
}

// decided reports whether the message was taken or refused; what is to come again is counted
// then.
func decided(o filter.Outcome) bool {
	return !slices.ContainsFunc(o.Fates, func(f filter.Fate) bool { return f.State == filter.Deferred }) && len(o.Fates) > 0
}

// aReport reports whether the message is itself a report, or goes where reports go.
func (c *Collector) aReport(m *filter.Message) bool {
	for _, to := range m.To {
		if c.Own(to.Address) {
			return true
		}
	}
	if m.Parts == nil {
		return false
	}
	t, err := m.Parts()
	return err == nil && strings.HasPrefix(strings.ToLower(t.Subject()), "report domain:")
}

// dispositionOf is the strictest thing that was done with the message, and the symbol that led
// to it.
func dispositionOf(o filter.Outcome) (disposition, acting string) {
	worst := filter.Verdict{}
	for _, v := range o.Verdicts {
		if v.Action > worst.Action {
			worst = v
		}
	}
	if len(worst.Reasons) > 0 {
		acting = worst.Reasons[0].Symbol
	}
	switch {
	case worst.Action == filter.Reject:
		return "reject", acting
	case worst.Action == filter.Quarantine && strings.HasPrefix(acting, "DMARC_"):
		return "quarantine", acting
	}
	return "none", acting
}

// signaturesMost bounds the signatures of one record (RFC 9990 section 3.1.3 allows 100).
const signaturesMost = 20

func (c *Collector) signatures(ctx context.Context, rec *aggregate.Record, r filter.Report, author string, strict bool) {
	var all []aggregate.DKIM
	for _, f := range r.Findings {
		if f.Auth == nil || f.Auth.Method != "dkim" || prop(f.Auth, "header", "d") == "" {
			continue
		}
		d := aggregate.DKIM{Domain: prop(f.Auth, "header", "d"), Selector: prop(f.Auth, "header", "s"), Result: f.Auth.Result, Human: f.Auth.Reason}
		if slices.Contains(all, d) {
			continue
		}
		all = append(all, d)
		if d.Result == "pass" && c.aligned(ctx, author, d.Domain, strict) {
			rec.Row.Evaluated.DKIM = "pass"
		}
	}
	slices.SortStableFunc(all, func(a, b aggregate.DKIM) int { return rank(a, author) - rank(b, author) })
	rec.Auth.DKIM = all[:min(len(all), signaturesMost)]
}

// rank orders signatures as a report prefers them.
func rank(d aggregate.DKIM, author string) int {
	switch {
	case d.Result == "pass" && d.Domain == author:
		return 0
	case d.Result == "pass" && strings.HasSuffix(author, "."+d.Domain):
		return 1
	case d.Result == "pass":
		return 2
	}
	return 3
}

func (c *Collector) envelope(ctx context.Context, rec *aggregate.Record, m *filter.Message, r filter.Report, author string, strict bool) {
	from := m.FromDomain()
	rec.IDs.EnvelopeFrom = &from
	result := find(r, "spf")
	if result == nil {
		return
	}
	spf := aggregate.SPF{Domain: domain(prop(result, "smtp", "mailfrom")), Scope: "mfrom", Result: result.Result}
	if spf.Domain == "" {
		spf.Domain = prop(result, "smtp", "helo")
	}
	rec.Auth.SPF = []aggregate.SPF{spf}
	if spf.Result == "pass" && c.aligned(ctx, author, spf.Domain, strict) {
		rec.Row.Evaluated.SPF = "pass"
	}
}

func (c *Collector) aligned(ctx context.Context, author, by string, strict bool) bool {
	return author == by || !strict && by != "" && c.SameOrg(ctx, author, by)
}

// overrides say why less was done than the policy asks for (RFC 9990 section 3.1.6).
func overrides(o filter.Outcome, tags map[string]string, asked, disposition string) []aggregate.Reason {
	if asked == "" || asked == "none" || asked == disposition {
		return nil
	}
	if tags["t"] == "y" {
		return []aggregate.Reason{{Type: "policy_test_mode"}}
	}
	for _, e := range [...]struct{ symbol, kind string }{
		{"ARC_TRUSTED", "trusted_forwarder"}, {"FORWARDER_KNOWN", "trusted_forwarder"}, {"LIST_KNOWN", "mailing_list"},
		{"SOURCE_KNOWN", "local_policy"}, {"OWN_ALLOW", "local_policy"},
	} {
		for _, v := range o.Verdicts {
			for _, r := range v.Reasons {
				if r.Symbol == e.symbol {
					return []aggregate.Reason{{Type: e.kind, Comment: strings.ToLower(e.symbol)}}
				}
			}
		}
	}
	return []aggregate.Reason{{Type: "local_policy"}}
}

// asked is what a record asks for: for the domain it stands at, or one below.
func asked(tags map[string]string, own bool) string {
	if sp := tags["sp"]; sp != "" && !own {
		return sp
	}
	return tags["p"]
}

// Tags are the tags of a record, names and values in lower case; the first of a name counts.
func Tags(record string) map[string]string {
	tags := map[string]string{}
	for part := range strings.SplitSeq(record, ";") {
		name, value, ok := strings.Cut(part, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		if _, twice := tags[name]; ok && !twice {
			tags[name] = strings.ToLower(strings.TrimSpace(value))
		}
	}
	return tags
}

func find(r filter.Report, method string) *filter.AuthResult {
	for _, f := range r.Findings {
		if f.Auth != nil && f.Auth.Method == method {
			return f.Auth
		}
	}
	return nil
}

func prop(a *filter.AuthResult, kind, name string) string {
	return strings.ToLower(a.Prop(kind, name))
}

func domain(mailbox string) string { return mailbox[strings.LastIndexByte(mailbox, '@')+1:] }
