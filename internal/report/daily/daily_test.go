package daily_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mime"
	"postern/internal/report"
	"postern/internal/report/aggregate"
	"postern/internal/report/daily"
	"postern/internal/report/received"
)

// store is a store of counts in memory.
type store struct {
	report.Store
	rows map[string][]report.Row // by "day domain"
	sent []report.Sent
	fail error // of Done

	unread string // what the domains begin with whose rows cannot be read
}

func (s *store) Domains(_ context.Context, before string, limit int) (out []report.Sent, err error) {
	for key := range s.rows {
		day, domain, _ := strings.Cut(key, " ")
		known := slices.ContainsFunc(s.sent, func(x report.Sent) bool { return x.Day == day && x.Domain == domain })
		if day < before && !known {
			out = append(out, report.Sent{Day: day, Domain: domain})
		}
	}
	slices.SortFunc(out, func(a, b report.Sent) int { return strings.Compare(a.Day+a.Domain, b.Day+b.Domain) })
	return out[:min(len(out), limit)], nil
}

func (s *store) Rows(_ context.Context, day, domain string, _ int) ([]report.Row, error) {
	if s.unread != "" && strings.HasPrefix(domain, s.unread) {
		return nil, errors.New("not to be read")
	}
	return s.rows[day+" "+domain], nil
}

func (s *store) Done(ctx context.Context, d report.Sent) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.fail != nil {
		return s.fail
	}
	s.sent = append(s.sent, d)
	return nil
}

func (s *store) Sent(context.Context, string, int) ([]report.Sent, error) { return s.sent, nil }

func (s *store) note(domain string) report.Sent {
	for _, x := range s.sent {
		if x.Domain == domain {
			return x
		}
	}
	return report.Sent{}
}

func (s *store) add(day, domain, record string) {
	if s.rows == nil {
		s.rows = map[string][]report.Row{}
	}
	key := day + " " + domain
	s.rows[key] = append(s.rows[key], report.Row{Day: day, Domain: domain, DMARC: record, Record: aggregate.Record{
		Row: aggregate.Row{Source: fmt.Sprintf("192.0.2.%d", len(s.rows[key])+1), Count: 3, Evaluated: aggregate.Evaluated{Disposition: "none", DKIM: "fail", SPF: "fail"}},
		IDs: aggregate.Identifiers{HeaderFrom: domain}, Auth: aggregate.AuthResults{SPF: []aggregate.SPF{{Domain: domain, Scope: "mfrom", Result: "fail"}}},
	}})
}

// zone answers TXT questions; a text "!" is a server that does not answer.
type zone map[string]string

func (z zone) TXT(_ context.Context, name string) ([]string, error) {
	switch text, ok := z[name]; {
	case !ok:
		return nil, &net.DNSError{Name: name, IsNotFound: true}
	case text == "!":
		return nil, &net.DNSError{Name: name, IsTimeout: true, IsTemporary: true}
	default:
		return strings.Split(text, "|"), nil
	}
}

type mail struct {
	to   string
	text []byte
}

type world struct {
	*daily.Sender
	store  *store
	mails  []mail
	now    time.Time
	submit func(ctx context.Context, to string) error // before a message is queued; nil = nothing
}

func newWorld(z zone) *world {
	w := &world{store: &store{}, now: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)}
	w.Sender = &daily.Sender{
		Store: w.store, Resolver: z, From: "dmarc@noreport.our.example", Org: "Our mail", Contact: "https://our.example", Generator: "postern",
		Size: 1 << 20, PerDay: 10, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		SameOrg: func(_ context.Context, a, b string) bool {
			return strings.HasSuffix(a, "."+b) || strings.HasSuffix(b, "."+a)
		},
		Own: func(a string) bool { return a == "reports@our.example" },
		Submit: func(ctx context.Context, to string, text []byte) error {
			if w.submit != nil {
				if err := w.submit(ctx, to); err != nil {
					return err
				}
			}
			w.mails = append(w.mails, mail{to, text})
			return nil
		},
	}
	return w
}

func (w *world) due(t *testing.T) int {
	t.Helper()
	n, err := w.Due(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestTheReport(t *testing.T) {
	w := newWorld(nil)
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=quarantine; adkim=s; t=y; rua=mailto:Agg@example.com")
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=quarantine; adkim=s; t=y; rua=mailto:Agg@example.com")
	w.store.add("2026-11-22", "example.com", "v=DMARC1; p=none; rua=mailto:agg@example.com") // not over yet
	if n := w.due(t); n != 1 || len(w.mails) != 1 || !strings.EqualFold(w.mails[0].to, "agg@example.com") {
		t.Fatalf("%d sent: %+v", n, w.mails)
	}
	text := string(w.mails[0].text)
	for _, want := range []string{
		"From: dmarc@noreport.our.example\r\n", "Auto-Submitted: auto-generated\r\n", "Content-Type: application/gzip\r\n",
		"Subject: Report Domain: example.com\r\n Submitter: noreport.our.example\r\n Report-ID: <1795219200.example.com@noreport.our.example>\r\n",
		"filename=\"noreport.our.example!example.com!1795219200!1795305599.xml.gz\"",
		"6 messages, 6 of them proven neither by SPF nor by DKIM.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line of %d", len(line))
		}
	}
	tree, err := mime.Walk(bytes.NewReader(w.mails[0].text), int64(len(text)), mime.DefaultLimits())
	if err != nil || len(tree.Anomalies) > 0 {
		t.Fatalf("%v %v", err, tree.Anomalies)
	}
	all, err := received.Read(t.Context(), tree) // what we send, we can read
	if err != nil || len(all) != 1 {
		t.Fatalf("%d, %v", len(all), err)
	}
	f := all[0].DMARC
	want := aggregate.Policy{Domain: "example.com", Discovery: "treewalk", P: "quarantine", SP: "quarantine", NP: "quarantine", ADKIM: "s", ASPF: "r", Testing: "y", FO: "0"}
	if f.Policy != want || f.Meta.Org != "Our mail" || f.Meta.Email != "dmarc@noreport.our.example" || len(f.Records) != 2 || f.Meta.Range.End-f.Meta.Range.Begin != 86399 {
		t.Errorf("%+v", f)
	}
	if s := w.store.note("example.com"); s.Messages != 6 || len(s.To) != 1 || s.ID == "" {
		t.Errorf("noted %+v", s)
	}
	if n := w.due(t); n != 0 || len(w.mails) != 1 {
		t.Error("sent twice")
	}
}

func TestDestinations(t *testing.T) {
	z := zone{
		"example.com._report._dmarc.collect.example": "v=DMARC1",
		"example.com._report._dmarc.moved.example":   "v=DMARC1; rua=mailto:new@moved.example!20k",
		"example.com._report._dmarc.thief.example":   "v=DMARC1; rua=mailto:victim@other.example",
		"example.com._report._dmarc.text.example":    "hello|p=none; v=DMARC1",
	}
	for rua, want := range map[string]string{
		"mailto:a@example.com":                      "a@example.com",
		"mailto:a@sub.example.com":                  "a@sub.example.com",
		"mailto:a@example.com,mailto:b@example.com": "a@example.com b@example.com",
		"mailto:a@collect.example":                  "a@collect.example",
		"mailto:a@moved.example":                    "new@moved.example",
		"mailto:a@thief.example":                    "- does not agree",
		"mailto:a@text.example":                     "- does not agree",
		"mailto:victim@other.example":               "- does not agree",
		"https://example.com/report":                "- is no address for reports",
		"mailto:a%40example.com":                    "a@example.com",
		"mailto:a%0d%0aBcc:b@example.com":           "- is no address",
		"mailto:a@example.com!10":                   "- takes 10 bytes",
		"mailto:a@example.com!1k":                   "- takes 1024 bytes",
		"mailto:a@example.com!99999999999999t":      "a@example.com",
		"mailto:a@example.com!x":                    "- is no address for reports",
		"mailto:reports@our.example":                "- is our own",
		"mailto:dmarc@noreport.our.example":         "- is our own",
		"mailto:a@example.com,mailto:A@example.com": "a@example.com",
		strings.Repeat("mailto:victim@other.example,", 20) + "mailto:a@example.com": "- only the first",
		"": "- nobody asks",
		"mailto:a@example.com,mailto:b@example.com,mailto:c@example.com,mailto:d@example.com,mailto:e@example.com,mailto:f@example.com": "a@example.com b@example.com c@example.com d@example.com e@example.com",
	} {
		w := newWorld(z)
		w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua="+rua)
		w.due(t)
		got := strings.Join(w.store.note("example.com").To, " ")
		if why, none := strings.CutPrefix(want, "-"); none {
			if got != "" || !strings.Contains(w.store.note("example.com").Note, strings.TrimSpace(why)) {
				t.Errorf("%q: %q, %+v", rua, got, w.store.note("example.com"))
			}
		} else if got != want {
			t.Errorf("%q: %q, want %q (%s)", rua, got, want, w.store.note("example.com").Note)
		}
	}
}

func TestSilentDNS(t *testing.T) {
	w := newWorld(zone{"example.com._report._dmarc.collect.example": "!"})
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua=mailto:a@collect.example")
	w.store.add("2026-11-21", "other.example", "v=DMARC1; p=none; rua=mailto:a@other.example")
	if n := w.due(t); n != 1 || w.store.note("example.com").Day != "" {
		t.Errorf("%d sent, noted %+v", n, w.store.sent)
	}
	w.now = w.now.Add(72 * time.Hour)
	if w.due(t); !strings.Contains(w.store.note("example.com").Note, "did not answer for days") {
		t.Errorf("noted %+v", w.store.sent)
	}
}

func TestCap(t *testing.T) {
	w := newWorld(nil)
	for i := range 25 {
		domain := fmt.Sprintf("d%02d.example", i)
		w.store.add("2026-11-21", domain, "v=DMARC1; p=none; rua=mailto:a@"+domain)
	}
	if n := w.due(t); n != 10 {
		t.Errorf("%d sent", n)
	}
	if n := w.due(t); n != 0 {
		t.Errorf("%d more sent on the same day", n)
	}
	w.now = w.now.Add(24 * time.Hour)
	if n := w.due(t); n != 10 {
		t.Errorf("%d sent on the next day", n)
	}
}

// Two messages of one report are two of the day's.
func TestCapInsideOneReport(t *testing.T) {
	w := newWorld(nil)
	w.PerDay = 1
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com")
	if n := w.due(t); n != 1 || !strings.Contains(w.store.note("example.com").Note, "limit of the day") {
		t.Errorf("%d sent, %+v", n, w.store.sent)
	}
}

// A crash between queueing and noting repeats the report under the same names.
func TestAgainAfterACrash(t *testing.T) {
	w := newWorld(nil)
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua=mailto:a@example.com")
	w.store.fail = errors.New("killed")
	if _, err := w.Due(t.Context()); err == nil {
		t.Fatal("no error")
	}
	w.store.fail = nil
	w.due(t)
	if len(w.mails) != 2 || !bytes.Equal(w.mails[0].text, w.mails[1].text) {
		t.Errorf("%d mails, or not the same", len(w.mails))
	}
}

// A round that ends while a report goes out, as when another node takes over, ends behind its
// note: nothing is sent twice, and what was not begun is left to others.
func TestRoundsMayEnd(t *testing.T) {
	w := newWorld(nil)
	w.store.add("2026-11-21", "a.example", "v=DMARC1; p=none; rua=mailto:a@a.example,mailto:b@a.example")
	w.store.add("2026-11-21", "b.example", "v=DMARC1; p=none; rua=mailto:a@b.example")
	ctx, cancel := context.WithCancel(t.Context())
	w.submit = func(ctx context.Context, _ string) error {
		cancel()
		return ctx.Err()
	}
	if n, err := w.Due(ctx); n != 2 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d sent, %v", n, err)
	}
	if len(w.store.note("a.example").To) != 2 || w.store.note("b.example").Day != "" {
		t.Errorf("noted %+v", w.store.sent)
	}
	w.submit = nil
	if n := w.due(t); n != 1 || len(w.mails) != 3 {
		t.Errorf("%d sent by the next, %d in all", n, len(w.mails))
	}
	if n, err := w.Due(ctx); n != 0 || err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("a round that is over: %d sent, %v", n, err)
	}
}

// A round that was interrupted for long finds what another one has sent meanwhile.
func TestNotedMeanwhile(t *testing.T) {
	w, other := newWorld(nil), newWorld(nil)
	other.store = w.store
	other.Store = w.store
	for _, domain := range []string{"a.example", "b.example", "c.example"} {
		w.store.add("2026-11-21", domain, "v=DMARC1; p=none; rua=mailto:a@"+domain)
	}
	w.submit = func(context.Context, string) error { // as if this node were stopped here
		if len(w.mails) == 0 {
			w.submit = nil
			other.due(t)
		}
		return nil
	}
	w.due(t)
	if len(other.mails) != 3 || len(w.mails) != 1 {
		t.Errorf("%d and %d mails", len(other.mails), len(w.mails))
	}
}

// One domain whose report cannot be made or queued does not keep the others from theirs; a
// store that fails ends the round.
func TestOneFails(t *testing.T) {
	for name, c := range map[string]struct {
		unread string
		refuse string
		want   int
	}{
		"not read": {unread: "d03", want: 9}, "not queued": {refuse: "a@d03.example", want: 9}, "nothing is read": {unread: "d", want: 0},
	} {
		w := newWorld(nil)
		for i := range 10 {
			domain := fmt.Sprintf("d%02d.example", i)
			w.store.add("2026-11-21", domain, "v=DMARC1; p=none; rua=mailto:a@"+domain)
		}
		tried := 0
		w.store.unread = c.unread
		w.submit = func(_ context.Context, to string) error {
			tried++
			if to == c.refuse {
				return errors.New("no route")
			}
			return nil
		}
		n, err := w.Due(t.Context())
		if n != c.want || err == nil || len(w.store.sent) != c.want || tried > 10 {
			t.Errorf("%s: %d sent, %d noted, %d tried, %v", name, n, len(w.store.sent), tried, err)
		}
		w.store.unread, w.submit = "", nil
		if n := w.due(t); n != 10-c.want {
			t.Errorf("%s: %d sent in the next round", name, n)
		}
	}
}

// A report that is queued for one of two is not queued again for that one, and says so.
func TestQueuedInPart(t *testing.T) {
	w := newWorld(nil)
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua=mailto:a@example.com,mailto:b@example.com,mailto:c@example.com")
	w.submit = func(_ context.Context, to string) error {
		if to == "b@example.com" {
			return errors.New("no route")
		}
		return nil
	}
	for range 2 {
		w.due(t)
	}
	if s := w.store.note("example.com"); len(w.mails) != 2 || len(s.To) != 2 || !strings.Contains(s.Note, "not be queued for b@example.com") {
		t.Errorf("%d mails, %+v", len(w.mails), s)
	}
}

// A report that cannot be queued for days is given up, and the note says so.
func TestNeverQueued(t *testing.T) {
	w := newWorld(nil)
	w.store.add("2026-11-21", "example.com", "v=DMARC1; p=none; rua=mailto:a@example.com")
	w.submit = func(context.Context, string) error { return errors.New("no route") }
	if _, err := w.Due(t.Context()); err == nil || w.store.note("example.com").Day != "" {
		t.Errorf("given up at once: %v", err)
	}
	w.now = w.now.Add(96 * time.Hour)
	if w.due(t); !strings.Contains(w.store.note("example.com").Note, "not be queued") {
		t.Errorf("noted %+v", w.store.sent)
	}
}
