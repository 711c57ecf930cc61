package record_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"postern/filter"
	"postern/internal/record"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rows is a traffic store in memory.
type rows struct {
	got  []record.Row
	full bool
}

func (r *rows) Add(row record.Row) bool {
	if !r.full {
		r.got = append(r.got, row)
	}
	return !r.full
}

func (r *rows) Find(context.Context, record.Trace) (record.Page, error) {
	return record.Page{Rows: r.got}, nil
}

func (r *rows) Prune(context.Context, time.Time) (int, error) { return 0, nil }

func message() *filter.Message {
	return &filter.Message{
		ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Time: start, Listener: "mx", From: "sender@example.org",
		Client: filter.Client{IP: netip.MustParseAddr("::ffff:192.0.2.1"), Name: "host.example.org", Helo: "host", TLS: filter.TLSInfo{Version: "TLS 1.3"}},
		To:     []filter.Recipient{{Address: "a@example.com", Policy: "default"}, {Address: "b@example.com", Policy: "sales"}, {Address: "c@example.com", Policy: "default"}},
		Body:   strings.NewReader("x"), Size: 1234, SHA256: "abc",
	}
}

func outcome() filter.Outcome {
	tag := filter.Verdict{Action: filter.Tag, Score: 450, Reasons: []filter.Reason{{Symbol: "SPF_FAIL", Score: 450}}}
	hold := filter.Verdict{Action: filter.Quarantine, Score: 750, Reasons: []filter.Reason{{Symbol: "SPF_FAIL"}, {Symbol: "COMPOSITE"}}}
	return filter.Outcome{
		Report: filter.Report{
			Findings: []filter.Finding{{Symbol: "SPF_FAIL"}, {Symbol: "PTR_NONE"}, {Symbol: "SPF_FAIL"}},
			Failures: []filter.Failure{{Step: "clamav", Reason: "timed out"}},
		},
		Verdicts: []filter.Verdict{tag, hold, tag},
		Fates: []filter.Fate{
			{Recipient: "a@example.com", State: filter.Delivered, Backend: "10.0.0.5", Reply: "250 ok", Ambiguous: true},
			{Recipient: "b@example.com", State: filter.Held, Hold: "01jd9x5h3k2m4n6p8q0r1s2t3v-01"},
		},
		Reply: "250 2.0.0 ok",
		Times: filter.Times{Start: start, Data: start.Add(time.Second), Received: start.Add(1100 * time.Millisecond), Checked: start.Add(1350 * time.Millisecond), Done: start.Add(2 * time.Second)},
	}
}

func TestBuild(t *testing.T) {
	got := record.Build("mx1", message(), outcome(), record.Headers{Subject: "Hi", MessageID: "<m@example.org>"})
	want := record.Row{
		ID: "01jd9x5h3k2m4n6p8q0r1s2t3v", Time: start, Node: "mx1", Direction: "inbound", Listener: "mx",
		Client: record.Client{IP: "192.0.2.1", Name: "host.example.org", Helo: "host", TLS: "TLS 1.3"}, From: "sender@example.org",
		To: []record.Fate{
			{Address: "a@example.com", Policy: "default", State: "delivered", Backend: "10.0.0.5", Reply: "250 ok", Action: "tag", Score: 450, Ambiguous: true},
			{Address: "b@example.com", Policy: "sales", State: "held", Hold: "01jd9x5h3k2m4n6p8q0r1s2t3v-01", Action: "quarantine", Score: 750},
			{Address: "c@example.com", Policy: "default", State: "aborted", Action: "tag", Score: 450},
		},
		Subject: "Hi", MessageID: "m@example.org", Size: 1234, SHA256: "abc", Action: "quarantine", Score: 750,
		Symbols: []string{"SPF_FAIL", "PTR_NONE", "COMPOSITE"}, Unchecked: []record.Unchecked{{Step: "clamav", Reason: "timed out"}},
		Reply: "250 2.0.0 ok", Delay: record.Delay{Receive: 100, Check: 250, Relay: -1, Total: 2000},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	back := filter.Outcome{Times: filter.Times{Start: start, Done: start.Add(-time.Hour)}}
	if got := record.Build("", message(), back, record.Headers{}).Delay.Total; got != 0 {
		t.Errorf("a clock that was set back: %d ms", got)
	}
}

// What was left out is said of what was handed on, and of nothing else.
func TestStripped(t *testing.T) {
	o := outcome()
	for i := range o.Verdicts {
		o.Verdicts[i].Strip = []string{"1.2", "1.3"}
	}
	to := record.Build("mx1", message(), o, record.Headers{}).To
	if got := to[0].String(); !strings.HasPrefix(got, "a@example.com: delivered, stripped 1.2 1.3 by 10.0.0.5 (tag") {
		t.Error(got)
	}
	if to[1].Stripped != nil || to[2].Stripped != nil {
		t.Errorf("%+v", to[1:])
	}
	o.Fates[0].State = filter.InOutbox
	if got := record.Build("mx1", message(), o, record.Headers{}).To[0].String(); !strings.Contains(got, ": outbox, stripped 1.2 1.3") {
		t.Error(got)
	}
}

func TestWriteText(t *testing.T) {
	row := record.Build("mx1", message(), outcome(), record.Headers{Subject: "Hi\x1b[2J there", MessageID: "<m@example.org>"})
	null := record.Row{ID: "2", Time: start, Direction: "outbound", Listener: "submission", Account: "joe", Action: "reject", Reply: "550 no", Delay: record.Delay{-1, -1, -1, -1}}
	var out bytes.Buffer
	if err := record.WriteText(&out, []record.Row{row, null}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/trace.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), out.String()); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

// hostile is text that breaks logs and terminals.
var hostile = []string{
	"\r\n{\"level\":\"ERROR\",\"msg\":\"forged\"}", "\x1b]0;title\x07\x1b[2J", "\xff\xfe\x80", "a\u2028b\u2029c\u0085d",
	"\u202egnp.exe", "\u2066x\u2069", "\x00\x7f\u009b31m", `\x1b looks escaped`, "\ufeff\u200b\u00ad", strings.Repeat("x", 100_000), strings.Repeat("\xff", 5000), "\U000e0041",
}

// TestHostileText puts hostile text into every field that strangers fill. One message is one
// line of valid JSON without a raw control character, of bounded length.
func TestHostileText(t *testing.T) {
	for _, bad := range hostile {
		m, o := message(), outcome()
		m.From, m.Client.Helo, m.Client.Name, m.Account = bad+"@x", bad, bad, bad
		m.To[0].Address = bad
		o.Fates[0].Reply, o.Reply, o.Report.Failures[0].Reason = bad, bad, bad
		var out bytes.Buffer
		obs := record.Observer{Log: slog.New(slog.NewJSONHandler(&out, nil)), Headers: func(*filter.Message) record.Headers { return record.Headers{Subject: bad, MessageID: bad} }}
		if err := obs.Done(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		if n := strings.Count(text, "\n"); n != 1 || !strings.HasSuffix(text, "\n") {
			t.Errorf("%.20q: %d lines", bad, n)
		}
		if len(text) > 10_000 || !utf8.ValidString(text) {
			t.Errorf("%.20q: %d bytes, valid %v", bad, len(text), utf8.ValidString(text))
		}
		var fields map[string]any
		if err := json.Unmarshal(out.Bytes(), &fields); err != nil || fields["msg"] != "message" {
			t.Errorf("%.20q: %v, %v", bad, fields["msg"], err)
		}
		safe(t, bad, fields)
	}
}

// safe walks decoded JSON: what a tool prints raw must not act on a terminal either.
func safe(t *testing.T, bad string, v any) {
	t.Helper()
	switch v := v.(type) {
	case string:
		if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control) }) {
			t.Errorf("%.20q came through as %.60q", bad, v)
		}
	case []any:
		for _, e := range v {
			safe(t, bad, e)
		}
	case map[string]any:
		for _, e := range v {
			safe(t, bad, e)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                "",
		"plain ASCII ~":   "plain ASCII ~",
		"Größe 東京 🎉":      "Größe 東京 🎉",
		"a\r\nb\tc":       `a\x0d\x0ab\x09c`,
		"\x1b[0m\x7f\x00": `\x1b[0m\x7f\x00`,
		"\xff\xc3":        `\xff\xc3`,
		"\u2028\u0085":    `\u{2028}\u{85}`,
		"\u202ea":         `\u{202e}a`,
		"\ufffd":          "\ufffd",
		`C:\x0d`:          `C:\\x0d`,
		"\U000e0041":      `\u{e0041}`,
	} {
		if got := record.Clean(in, 100); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"0123456789":     "0123456789",
		"0123456789a":    "0123456...",
		"01234567\r\n":   "0123456...",
		"東京東京東京":         "東京...",
		"\xff\xff\xff":   `\xff...`,
		"\xff\xffab":     `\xff\xffab`,
		"aaaaaaaaaa\x00": "aaaaaaa...",
	} {
		if got := record.Clean(in, 10); got != want {
			t.Errorf("%q in 10: %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range hostile[:10] {
		f.Add(s, 50)
	}
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1000 {
			return
		}
		got := record.Clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) || unicode.In(r, unicode.Bidi_Control) }) {
			t.Errorf("%q in %d: %q", s, limit, got)
		}
	})
}

// TestMetrics: labels are bounded whatever strangers send, and what comes in is what became
// of it.
func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := record.NewMetrics(reg, []string{"clamav", "spf"}, record.Gauges{
		Holds: func() map[string]int { return map[string]int{"held": 3} }, Bytes: func() int64 { return 10 },
		Cap: func() int64 { return 20 }, Outbox: func() int { return 1 }, Appeals: func() int { return 3 }, Sessions: func() map[string]int { return map[string]int{"mx": 2} },
	})
	if err != nil {
		t.Fatal(err)
	}
	store := &rows{}
	obs := &record.Observer{Traffic: store, Metrics: m}
	for i := range 1000 {
		msg, o := message(), outcome()
		msg.From = strings.Repeat("x", i%50) + "@random.example"
		o.Report.Failures = append(o.Report.Failures, filter.Failure{Step: strings.Repeat("s", i+1)})
		o.Fates[1].State = filter.FateState(strings.Repeat("f", i))
		store.full = i >= 990
		if err := obs.Done(t.Context(), msg, o); err != nil {
			t.Fatal(err)
		}
	}
	if len(store.got) != 990 {
		t.Errorf("%d rows", len(store.got))
	}
	want := `
# HELP postern_appeals_waiting Appeals of senders that wait for an answer.
# TYPE postern_appeals_waiting gauge
postern_appeals_waiting 3
# HELP postern_fates_total What became of each accepted recipient's copy.
# TYPE postern_fates_total counter
postern_fates_total{direction="inbound",fate="aborted"} 2000
postern_fates_total{direction="inbound",fate="delivered"} 1000
# HELP postern_holds Holds by state.
# TYPE postern_holds gauge
postern_holds{state="held"} 3
# HELP postern_messages_total Transactions that were answered, by direction and the largest action of their verdicts.
# TYPE postern_messages_total counter
postern_messages_total{action="quarantine",direction="inbound"} 1000
# HELP postern_outbox Messages that wait in the outbox.
# TYPE postern_outbox gauge
postern_outbox 1
# HELP postern_recipients_total Recipients asked for at RCPT, those refused there included. Equals the sum of postern_fates_total.
# TYPE postern_recipients_total counter
postern_recipients_total{direction="inbound"} 3000
# HELP postern_sessions Open SMTP sessions by listener.
# TYPE postern_sessions gauge
postern_sessions{listener="mx"} 2
# HELP postern_step_failures_total Checks that could not tell, by step.
# TYPE postern_step_failures_total counter
postern_step_failures_total{step="clamav"} 1000
postern_step_failures_total{step="other"} 1000
# HELP postern_stored_bytes Bytes of stored bodies on disk.
# TYPE postern_stored_bytes gauge
postern_stored_bytes 10
# HELP postern_stored_bytes_cap The cap on stored bytes, 0 for none.
# TYPE postern_stored_bytes_cap gauge
postern_stored_bytes_cap 20
# HELP postern_traffic_dropped_total Traffic rows dropped because the disk did not keep up.
# TYPE postern_traffic_dropped_total counter
postern_traffic_dropped_total 10
`
	got := scrape(t, reg)
	var rest []string
	seconds := 0
	for line := range strings.Lines(got) {
		switch {
		case !strings.Contains(line, "postern_duration_seconds"):
			rest = append(rest, line)
		case strings.HasPrefix(line, "postern_duration_seconds_count"):
			seconds++
		}
	}
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), strings.Join(rest, "")); d != "" || seconds != 3 {
		t.Errorf("%d phases; -want +got\n%s", seconds, d)
	}
	if _, err := record.NewMetrics(reg, nil, record.Gauges{}); err == nil {
		t.Error("the same metrics twice in one registry")
	}
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, reg *prometheus.Registry) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// chain is an audit in memory that can be spoiled.
type chain []record.Entry

func (c *chain) Append(_ context.Context, e record.Entry) (record.Entry, error) {
	var last record.Entry
	if len(*c) > 0 {
		last = (*c)[len(*c)-1]
	}
	e, err := record.Seal(last, e)
	if err == nil {
		*c = append(*c, e)
	}
	return e, err
}

func (c *chain) Entries(_ context.Context, after int64, limit int) (out []record.Entry, err error) {
	for _, e := range *c {
		if e.Seq > after && len(out) < limit {
			out = append(out, e)
		}
	}
	return out, nil
}

func TestAudit(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(c chain) chain
		seq   int64 // of the first entry that is wrong; 0 = none
	}{
		"whole":     {func(c chain) chain { return c }, 0},
		"changed":   {func(c chain) chain { c[3].Actor = "you"; return c }, 4},
		"before":    {func(c chain) chain { c[3].Before = json.RawMessage(`{"state":"active"}`); return c }, 4},
		"taken out": {func(c chain) chain { return append(c[:3:3], c[4:]...) }, 4},
		"swapped":   {func(c chain) chain { c[3], c[4] = c[4], c[3]; return c }, 4},
		"resealed": {func(c chain) chain {
			c[3].Actor = "you"
			c[3], _ = record.Seal(c[2], c[3])
			return c
		}, 5},
		"first gone": {func(c chain) chain { return c[1:] }, 1},
	} {
		var store chain
		a := record.Auditor{Store: &store, Now: func() time.Time { return start }}
		for i := range 8 {
			if err := a.Write(t.Context(), "me\x1b", "suspend", "acct", map[string]int{"n": i}, []string{"<&>"}, "note"); err != nil {
				t.Fatal(err)
			}
		}
		if store[0].Actor != `me\x1b` || string(store[7].Before) != `{"n":7}` {
			t.Errorf("entry: %+v", store[0])
		}
		store = c.spoil(store)
		_, err := record.Verify(t.Context(), &store)
		var broken *record.BrokenError
		if errors.As(err, &broken) != (c.seq > 0) || c.seq > 0 && broken.Seq != c.seq {
			t.Errorf("%s: %v, want entry %d", name, err, c.seq)
		}
	}
	a := record.Auditor{Store: &chain{}, Now: time.Now}
	if err := a.Write(t.Context(), "me", "x", "y", func() {}, nil, ""); err == nil {
		t.Error("what is no JSON was audited")
	}
}
