package report_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/report"
	"postern/internal/report/aggregate"
)

// counts is a store of counts alone.
type counts struct {
	report.Store
	mu    sync.Mutex
	rows  map[string]report.Row
	calls int
	err   error
}

func (c *counts) Count(_ context.Context, rows ...report.Row) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	if c.err != nil {
		return c.err
	}
	if c.rows == nil {
		c.rows = map[string]report.Row{}
	}
	for _, r := range rows {
		if old, ok := c.rows[r.Key()]; ok {
			r.Record.Row.Count += old.Record.Row.Count
		}
		c.rows[r.Key()] = r
	}
	return nil
}

func collector(s report.Store) *report.Collector {
	return &report.Collector{
		Store: s, Log: slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return time.Date(2026, 11, 22, 23, 59, 0, 0, time.UTC) },
		Own:     func(a string) bool { return a == "dmarc@our.example" },
		SameOrg: func(_ context.Context, a, b string) bool { return strings.HasSuffix(a, b) || strings.HasSuffix(b, a) },
	}
}

func mail(t *testing.T, subject string) *filter.Message {
	t.Helper()
	src := []byte("From: a@sub.example.com\r\nSubject: " + subject + "\r\n\r\nhello\r\n")
	tree, err := mime.Walk(bytes.NewReader(src), int64(len(src)), mime.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	return &filter.Message{
		ID: "m", From: "bounce@lists.example.net", Client: filter.Client{IP: netip.MustParseAddr("::ffff:192.0.2.7")},
		To: []filter.Recipient{{Address: "u@our.example"}}, Parts: func() (*mime.Tree, error) { return tree, nil },
	}
}

func props(kv ...string) (out []filter.AuthProp) {
	for i := 0; i < len(kv); i += 3 {
		out = append(out, filter.AuthProp{Type: kv[i], Name: kv[i+1], Value: kv[i+2]})
	}
	return out
}

// outcome is that of a message whose DMARC failed: SPF passed for a list, one signature of
// the author broke and one of the list held.
func outcome(action filter.Action, symbols ...string) filter.Outcome {
	o := filter.Outcome{
		Report: filter.Report{Findings: []filter.Finding{
			{Symbol: "SPF_PASS", Auth: &filter.AuthResult{Method: "spf", Result: "pass", Props: props("smtp", "mailfrom", "bounce@lists.example.net")}},
			{Symbol: "DKIM_PASS", Auth: &filter.AuthResult{Method: "dkim", Result: "pass", Props: props("header", "d", "lists.example.net", "header", "s", "l")}},
			{Symbol: "DKIM_FAIL", Auth: &filter.AuthResult{Method: "dkim", Result: "fail", Reason: "the body was changed", Props: props("header", "d", "example.com", "header", "s", "k")}},
			{Symbol: "DMARC_FAIL", Auth: &filter.AuthResult{
				Method: "dmarc", Result: "fail", At: "example.com", Record: "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.com", Props: props("header", "from", "sub.example.com"),
			}},
		}},
		Verdicts: []filter.Verdict{{Action: action}},
		Fates:    []filter.Fate{{State: filter.Delivered}},
	}
	for _, s := range symbols {
		o.Verdicts[0].Reasons = append(o.Verdicts[0].Reasons, filter.Reason{Symbol: s})
	}
	return o
}

func one(t *testing.T, m *filter.Message, o filter.Outcome) *report.Row {
	t.Helper()
	s := &counts{}
	c := collector(s)
	if err := c.Done(t.Context(), m, o); err != nil {
		t.Fatal(err)
	}
	c.Flush(t.Context())
	for _, r := range s.rows {
		return &r
	}
	return nil
}

func TestWhatIsCounted(t *testing.T) {
	got := one(t, mail(t, "hi"), outcome(filter.Quarantine, "DMARC_QUARANTINE", "LIST_KNOWN"))
	from := "lists.example.net"
	want := &report.Row{Day: "2026-11-22", Domain: "example.com", DMARC: "v=DMARC1; p=reject; sp=quarantine; rua=mailto:d@example.com", Record: aggregate.Record{
		Row: aggregate.Row{Source: "192.0.2.7", Count: 1, Evaluated: aggregate.Evaluated{Disposition: "quarantine", DKIM: "fail", SPF: "fail"}},
		IDs: aggregate.Identifiers{HeaderFrom: "sub.example.com", EnvelopeFrom: &from},
		Auth: aggregate.AuthResults{
			DKIM: []aggregate.DKIM{{Domain: "lists.example.net", Selector: "l", Result: "pass"}, {Domain: "example.com", Selector: "k", Result: "fail", Human: "the body was changed"}},
			SPF:  []aggregate.SPF{{Domain: "lists.example.net", Scope: "mfrom", Result: "pass"}},
		},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDispositions(t *testing.T) {
	signed := outcome(filter.Accept)
	signed.Report.Findings[2].Auth.Result = "pass" // d=example.com holds
	strict := outcome(filter.Accept)
	strict.Report.Findings[2].Auth.Result = "pass"
	strict.Report.Findings[3].Auth.Record = "v=DMARC1; p=reject; adkim=s"
	null := outcome(filter.Accept)
	null.Report.Findings[0].Auth.Props = props("smtp", "helo", "example.com")
	trial := outcome(filter.Tag)
	trial.Report.Findings[3].Auth.Record = "v=DMARC1; p=reject; t=y"
	own := outcome(filter.Accept, "OWN_ALLOW")
	own.Report.Findings[3].Auth.Props = props("header", "from", "example.com")
	for name, c := range map[string]struct {
		o    filter.Outcome
		want string
	}{
		"proven":            {signed, "pass dkim=pass spf=fail"},
		"strict":            {strict, "none dkim=fail spf=fail local_policy"},
		"by helo":           {null, "pass dkim=fail spf=pass"},
		"refused for it":    {outcome(filter.Reject, "DMARC_REJECT", "SPF_FAIL"), "reject dkim=fail spf=fail local_policy"},
		"delivered all the": {outcome(filter.Tag, "DMARC_FAIL"), "none dkim=fail spf=fail local_policy"},
		"forwarded":         {outcome(filter.Tag, "DMARC_FAIL", "FORWARDER_KNOWN"), "none dkim=fail spf=fail trusted_forwarder"},
		"sealed":            {outcome(filter.Tag, "DMARC_FAIL", "ARC_TRUSTED"), "none dkim=fail spf=fail trusted_forwarder"},
		"a list":            {outcome(filter.Tag, "DMARC_FAIL", "LIST_KNOWN"), "none dkim=fail spf=fail mailing_list"},
		"test mode":         {trial, "none dkim=fail spf=fail policy_test_mode"},
		"allowed":           {own, "none dkim=fail spf=fail local_policy"},
		"held as spam":      {outcome(filter.Quarantine, "BAYES_99", "DMARC_QUARANTINE"), "none dkim=fail spf=fail local_policy"},
	} {
		r := one(t, mail(t, "hi"), c.o)
		if r == nil {
			t.Errorf("%s: not counted", name)
			continue
		}
		e := r.Record.Row.Evaluated
		got := e.Disposition + " dkim=" + e.DKIM + " spf=" + e.SPF
		for _, x := range e.Reasons {
			got += " " + x.Type
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What would make a report about a report, tell a spammer that we are here, or count twice.
func TestWhatIsNotCounted(t *testing.T) {
	later := outcome(filter.Accept)
	later.Fates[0].State = filter.Deferred
	noRecord := outcome(filter.Accept)
	noRecord.Report.Findings[3].Auth.Record = ""
	out := mail(t, "hi")
	out.Direction = filter.Outbound
	toReports := mail(t, "hi")
	toReports.To = append(toReports.To, filter.Recipient{Address: "dmarc@our.example"})
	for name, c := range map[string]struct {
		m *filter.Message
		o filter.Outcome
	}{
		"refused as spam":  {mail(t, "hi"), outcome(filter.Reject, "VIRUS", "DMARC_REJECT")},
		"comes again":      {mail(t, "hi"), later},
		"no policy":        {mail(t, "hi"), noRecord},
		"outbound":         {out, outcome(filter.Accept)},
		"to our reports":   {toReports, outcome(filter.Accept)},
		"itself a report":  {mail(t, "Report Domain: our.example Submitter: x.example"), outcome(filter.Accept)},
		"nothing was said": {mail(t, "hi"), filter.Outcome{Fates: []filter.Fate{{State: filter.Delivered}}}},
	} {
		if r := one(t, c.m, c.o); r != nil {
			t.Errorf("%s: counted as %+v", name, r)
		}
	}
}

func TestCountsAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counts{}
		c := collector(s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		m := mail(t, "hi")
		for range 5 {
			if err := c.Done(ctx, m, outcome(filter.Accept)); err != nil {
				t.Fatal(err)
			}
		}
		s.mu.Lock()
		if s.calls != 0 {
			t.Error("written at once")
		}
		s.mu.Unlock()
		time.Sleep(11 * time.Second)
		s.mu.Lock()
		if s.calls != 1 || len(s.rows) != 1 {
			t.Errorf("%d calls, %d rows", s.calls, len(s.rows))
		}
		s.mu.Unlock()
		_ = c.Done(ctx, m, outcome(filter.Accept))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for _, r := range s.rows {
			if r.Record.Row.Count != 6 {
				t.Errorf("counted %d", r.Record.Row.Count)
			}
		}
		s.err = errors.New("the disk is full")
		_ = c.Done(t.Context(), m, outcome(filter.Accept))
		c.Flush(t.Context()) // costs the count and nothing else
	})
}

func TestManyKindsAreWrittenEarly(t *testing.T) {
	s := &counts{}
	c := collector(s)
	m := mail(t, "hi")
	ip := m.Client.IP.Unmap()
	for range 2000 {
		ip = ip.Next()
		m.Client.IP = ip
		_ = c.Done(t.Context(), m, outcome(filter.Accept))
	}
	if len(s.rows) != 2000 {
		t.Errorf("%d rows are written", len(s.rows))
	}
}

func TestTags(t *testing.T) {
	got := report.Tags(" V = DMARC1;P=Reject ; p=none;;x;rua=mailto:A@b ")
	if d := cmp.Diff(map[string]string{"v": "dmarc1", "p": "reject", "rua": "mailto:a@b"}, got); d != "" {
		t.Error(d)
	}
}
