package record_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/filter"
	"postern/internal/dns"
	"postern/internal/record"
)

// What greylisting, evidence and the DNS budget did to a copy is in its row, in words and in
// the log.
func TestWhatBecameOfACopy(t *testing.T) {
	m, o := message(), outcome()
	o.Verdicts[0] = filter.Verdict{Action: filter.Defer, Score: 520, Greylisted: true, Reasons: []filter.Reason{{Symbol: "GREY_NEW"}}}
	o.Verdicts[1].Softened = []string{"LIST_KNOWN", "SOURCE_KNOWN"}
	o.Verdicts[2].Greylisted = true // deferred by nobody: its transaction was broken off
	o.Fates[0] = filter.Fate{Recipient: "a@example.com", State: filter.Deferred, Reply: "451 4.7.1 later"}
	m.DNS = dns.NewBudget(1, time.Second)
	if record.Build("", m, o, record.Headers{}).DNSCut {
		t.Error("cut before anything was asked")
	}
	m.DNS = spent(t)
	row := record.Build("", m, o, record.Headers{})
	var got bytes.Buffer
	if err := record.WriteText(&got, []record.Row{row}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"  dns         lookups were left out, the budget of the message was spent (DNS_BUDGET)\n",
		"a@example.com: deferred, asked to come again as a first contact (defer, score 5.20, policy default): 451 4.7.1 later\n",
		"(quarantine, score 7.50, policy sales), DMARC softened by LIST_KNOWN SOURCE_KNOWN\n",
		"c@example.com: aborted (tag",
	} {
		if !strings.Contains(got.String(), want) {
			t.Errorf("%q is not in\n%s", want, got.String())
		}
	}
	var log bytes.Buffer
	obs := record.Observer{Log: slog.New(slog.NewJSONHandler(&log, nil))}
	if err := obs.Done(t.Context(), m, o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"dns_budget":true`, `"greylisted":true`, `"softened":["LIST_KNOWN","SOURCE_KNOWN"]`} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s is not in %s", want, log.String())
		}
	}
}

// spent is a budget that left a lookup out.
func spent(t *testing.T) *dns.Budget {
	t.Helper()
	b := dns.NewBudget(0, time.Second)
	r, err := dns.New(dns.Config{Servers: []string{"127.0.0.1:9"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if _, err := r.TXT(dns.WithBudget(t.Context(), b), "a.example"); !errors.Is(err, dns.ErrBudget) || !b.Cut() {
		t.Fatalf("the budget was not spent: %v", err)
	}
	return b
}

// A message without a Message-ID is found under the one it was given, where it went on.
func TestGivenMessageID(t *testing.T) {
	var store rows
	obs := record.Observer{Traffic: &store, Headers: func(m *filter.Message) record.Headers { return record.Headers{MessageID: m.Account} },
		MessageID: func(m *filter.Message) string { return "<" + m.ID + "@mx.example>" }}
	for _, c := range []struct {
		own   string
		state filter.FateState
		want  string
	}{
		{"", filter.Delivered, "01jd9x5h3k2m4n6p8q0r1s2t3v@mx.example"},
		{"", filter.InOutbox, "01jd9x5h3k2m4n6p8q0r1s2t3v@mx.example"},
		{"", filter.Held, "01jd9x5h3k2m4n6p8q0r1s2t3v@mx.example"},
		{"", filter.Rejected, ""},
		{"", filter.Deferred, ""},
		{"<own@example.org>", filter.Delivered, "own@example.org"},
	} {
		m := message()
		m.Account = c.own
		if err := obs.Done(t.Context(), m, filter.Outcome{Fates: []filter.Fate{{State: c.state}}}); err != nil {
			t.Fatal(err)
		}
		if got := store.got[len(store.got)-1].MessageID; got != c.want {
			t.Errorf("%q, %s: %q, want %q", c.own, c.state, got, c.want)
		}
	}
}

// Counters of what happens to single copies.
func TestCopyMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics, err := record.NewMetrics(reg, nil, record.Gauges{})
	if err != nil {
		t.Fatal(err)
	}
	m := message()
	m.DNS = spent(t)
	o := outcome()
	o.Report.Findings = []filter.Finding{{Symbol: "GREY_NEW"}}
	o.Verdicts[0].Strip = []string{"1.2", "1.3"}
	o.Verdicts[1].Softened = []string{"LIST_KNOWN", "SOURCE_KNOWN"}
	o.Verdicts[2] = filter.Verdict{Action: filter.Defer, Greylisted: true}
	o.Fates = append(o.Fates, filter.Fate{State: filter.Deferred})
	for range 2 {
		if err := (&record.Observer{Metrics: metrics}).Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
	}
	got := scrape(t, reg)
	for _, want := range []string{
		`postern_greylist_total{answer="later"} 2`, `postern_greylist_total{answer="now"} 4`, `postern_stripped_total{direction="inbound"} 2`,
		`postern_dmarc_softened_total{direction="inbound"} 2`, `postern_dns_budget_total{direction="inbound"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}
