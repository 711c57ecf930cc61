package account_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/filter/account"
	"postern/internal/mime"
)

var start = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func hosted(domain string) bool { return domain == "example.com" || domain == "xn--bcher-kva.example" }

// config has one listener of each mode, and some grants.
func config() account.Config {
	return account.Config{
		Listeners: map[string]account.Listener{
			"own": {}, "hosted": {Mode: account.Hosted}, "any": {Mode: account.Any}, "late": {Mode: account.Own, Late: true},
		},
		Home: "example.com", Hosted: hosted,
		Allow: map[string][]string{
			"sales@example.com":          {"anna@example.com", "bob"},
			"@partner.example":           {"anna@example.com"},
			`"the desk"@example.com`:     {"Bob@Example.com"},
			"info@b\u00fccher.example":   {"anna@example.com"},
			"daemon@example.com":         {"10.0.0.0/8"},
			"news+weekly@example.com":    {"anna@example.com"},
			"j\u00fcrgen@example.com":    {"juergen"},
			"printer@[192.0.2.1]":        {"certificate printer.example"},
			"@only-domain.example":       {"bob"},
			"person@only-domain.example": {"anna@example.com"},
		},
	}
}

func senders(t testing.TB, c account.Config, now func() time.Time) *account.Senders {
	t.Helper()
	s, err := account.New(c, account.Parts{Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mail(listener, acct, from, header string) *filter.Message {
	raw := []byte(strings.ReplaceAll(header, "\n", "\r\n") + "\r\n\r\ntext\r\n")
	return &filter.Message{
		ID: "m", Direction: filter.Outbound, Listener: listener, Account: acct, From: from, SHA256: "ab",
		Client: filter.Client{IP: netip.MustParseAddr("192.0.2.7")}, Body: bytes.NewReader(raw), Size: int64(len(raw)),
		Parts: func() (*mime.Tree, error) {
			return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
		},
	}
}

func run(t testing.TB, c filter.Check, m *filter.Message) []string {
	t.Helper()
	found, err := c.Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, f.Symbol+" "+f.Detail)
	}
	return out
}

// TestMailFrom goes through who may give what as MAIL FROM.
func TestMailFrom(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	for _, c := range []struct {
		listener, account, from string
		ok                      bool
	}{
		{"own", "anna@example.com", "anna@example.com", true},
		{"own", "anna@example.com", "Anna@EXAMPLE.com", true},
		{"own", "ANNA@Example.Com", "anna@example.com", true},
		{"own", "anna@example.com", "anna+news@example.com", true},
		{"own", "anna@example.com", `"anna"@example.com`, true},
		{"own", "anna@example.com", "", true}, // bounces and vacation notices
		{"own", "anna@example.com", "bob@example.com", false},
		{"own", "anna@example.com", "anna@example.org", false},
		{"own", "anna@example.com", "anna@sub.example.com", false},
		{"own", "anna@example.com", "annabel@example.com", false},
		{"own", "anna@example.com", "+anna@example.com", false},
		{"own", "anna@example.com", "an.na@example.com", false},
		{"own", "anna+news@example.com", "anna@example.com", false},
		{"own", "anna@example.com", `"anna "@example.com`, false},
		{"own", "anna@example.com", `"anna@example.com"@evil.example`, false},
		{"own", "anna@example.com", "@evil.example:anna@example.com", false},
		{"own", "anna@example.com", "anna", false},
		{"own", "anna@example.com", "anna@[192.0.2.1]", false},

		{"own", "anna@example.com", "sales@example.com", true},
		{"own", "anna@example.com", "sales+x@example.com", true},
		{"own", "anna@example.com", "whoever@partner.example", true},
		{"own", "anna@example.com", "whoever@sub.partner.example", false},
		{"own", "anna@example.com", "news+weekly@example.com", true},
		{"own", "anna@example.com", "news@example.com", false},
		{"own", "anna@example.com", "info@xn--bcher-kva.example", true},
		{"own", "anna@example.com", "info@B\u00dcCHER.example", true},
		{"own", "eve@example.com", "sales@example.com", false},
		{"own", "anna@example.com", "other@only-domain.example", false},
		{"own", "bob@example.com", "person@only-domain.example", false},

		// A login without a domain is at home, and nowhere else.
		{"own", "bob", "bob@example.com", true},
		{"own", "BOB", "bob+x@example.com", true},
		{"own", "bob", "bob@example.org", false},
		{"own", "bob", "sales@example.com", true},
		{"own", "bob", "person@only-domain.example", true},
		{"own", "bob", `"The Desk"@example.com`, true},
		{"own", "bob", "the@example.com", false},
		{"own", "bob@example.com", "sales@example.com", false}, // granted to the login bob

		// Networks and certificates have no address of their own.
		{"own", "10.0.0.0/8", "daemon@example.com", true},
		{"own", "10.0.0.0/8", "root@example.com", false},
		{"own", "certificate printer.example", "printer@[192.0.2.1]", true},
		{"own", "certificate printer.example", "anna@example.com", false},

		// Look-alikes are others; composed or not is the same.
		{"own", "kate@example.com", "\u212aate@example.com", false},
		{"own", "ida@example.com", "\u0130da@example.com", false},
		{"own", "anna@example.com", "\u0430nna@example.com", false},
		{"own", "anna@example.com", "anna@ex\u0430mple.com", false},
		{"own", "juergen", "ju\u0308rgen@example.com", true},
		{"own", "juergen", "J\u00dcRGEN@example.com", true},
		{"own", "juergen", "jurgen@example.com", false},
		{"own", "anna@b\u00fccher.example", "anna@xn--bcher-kva.example", true},

		{"hosted", "anna@example.com", "bob@example.com", true},
		{"hosted", "anna@example.com", "bob@B\u00fccher.example", true},
		{"hosted", "anna@example.com", "bob@sub.example.com", false},
		{"hosted", "anna@example.com", "whoever@partner.example", true},
		{"hosted", "eve@example.com", "whoever@partner.example", false},
		{"any", "anna@example.com", "boss@elsewhere.example", true},
		{"not configured", "anna@example.com", "bob@example.com", false},
		{"late", "10.0.0.0/8", "bob@example.com", true}, // judged when the header is read
	} {
		got := run(t, s.Sender(), mail(c.listener, c.account, c.from, "From: a@b.example"))
		if c.ok && got != nil || !c.ok && (len(got) != 1 || got[0] != account.SenderForeign+" "+c.from) {
			t.Errorf("%s as %s on %s: %v", c.account, c.from, c.listener, got)
		}
	}
}

// TestAuthors goes through what From and Sender may say.
func TestAuthors(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	const none = "no address that can be read"
	for name, c := range map[string]struct {
		header string
		want   []string
	}{
		"own":               {"From: Anna <anna@example.com>", nil},
		"own and granted":   {"From: anna@example.com, Sales <sales@example.com>", nil},
		"foreign":           {"From: Boss <boss@example.com>", []string{"boss@example.com"}},
		"second author":     {"From: anna@example.com, boss@example.com", []string{"boss@example.com"}},
		"second field":      {"From: anna@example.com\nFrom: boss@example.com", []string{"boss@example.com"}},
		"folded":            {"From: anna@example.com,\n boss@example.com", []string{"boss@example.com"}},
		"case of the field": {"fRoM: boss@example.com", []string{"boss@example.com"}},
		"sender":            {"From: anna@example.com\nSender: boss@example.com", []string{"boss@example.com"}},
		"own sender":        {"From: sales@example.com\nSender: anna@example.com", nil},
		"sender of nobody":  {"From: anna@example.com\nSender: Boss", []string{none}},
		"group":             {"From: Us: anna@example.com, boss@example.com;", []string{"boss@example.com"}},
		"own group":         {"From: Us: anna@example.com;", nil},
		"empty group":       {"From: Nobody:;", []string{none}},
		"empty":             {"From:", []string{none}},
		"empty brackets":    {"From: Boss <>", []string{none}},
		"a name only":       {"From: Boss", []string{none}},
		"encoded":           {"From: =?utf-8?q?boss=40example.com?=", []string{none}},
		"missing":           {"Subject: x", nil},
		"quoted":            {`From: "anna@example.com" <boss@example.com>`, []string{"boss@example.com"}},
		"quoted local":      {`From: "anna@example.com"@evil.example`, []string{`"anna@example.com"@evil.example`}},
		"comment":           {"From: boss@example.com (anna@example.com)", []string{"boss@example.com"}},
		"unquoted comma":    {"From: Doe, Anna <anna@example.com>", nil},
		"two brackets":      {"From: <anna@example.com> <boss@example.com>", []string{"boss@example.com"}},
		"two words":         {"From: anna@example.com boss@example.com", []string{"boss@example.com"}},
		"behind a comment":  {"From: anna@example.com (x) boss@example.com", []string{"boss@example.com"}},
		"behind a bracket":  {"From: <anna@example.com> boss@example.com", []string{"boss@example.com"}},
		"open comments":     {"From: anna@example.com " + strings.Repeat("(", 1000) + " boss@example.com", []string{"boss@example.com"}},
		"an open quote":     {"From: anna@example.com \"x boss@example.com", []string{"boss@example.com"}},
		"a name with an @":  {"From: Anna @ Home anna@home <anna@example.com> (at home)", nil},
		"own comment":       {"From: anna@example.com (Anna)", nil},
		"route":             {"From: <@evil.example:anna@example.com>", []string{"@evil.example:anna@example.com"}},
		"look-alike":        {"From: \u0430nna@example.com", []string{"\u0430nna@example.com"}},
		"latin-1":           {"From: j\xfcrgen@example.com", nil}, // see below
		"u-label":           {"From: info@b\u00fccher.example", nil},
		"trailing dot":      {"From: anna@example.com.", []string{"anna@example.com."}},
		"once each":         {"From: boss@example.com, boss@example.com\nSender: boss@example.com", []string{"boss@example.com"}},
		"not more than five": {"From: a1@e.example, a2@e.example, a3@e.example, a4@e.example, a5@e.example, a6@e.example",
			[]string{"a1@e.example", "a2@e.example", "a3@e.example", "a4@e.example", "a5@e.example"}},
		"sender of a part": {"From: anna@example.com\nContent-Type: multipart/mixed; boundary=b\n\n--b\nSender: boss@example.com\nFrom: boss@example.com\n\nx\n--b--", nil},
	} {
		if name == "latin-1" {
			continue
		}
		var want []string
		for _, w := range c.want {
			want = append(want, account.FromForeign+" "+w)
		}
		if d := cmp.Diff(want, run(t, s.Content(), mail("own", "anna@example.com", "", c.header))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if got := run(t, s.Content(), mail("own", "anna@example.com", "", "From: anna\xfc@example.com")); len(got) != 1 {
		t.Errorf("an address that is no UTF-8: %v", got)
	}
	if got := run(t, s.Content(), mail("any", "anna@example.com", "", "From: boss@example.com")); got != nil {
		t.Errorf("nothing is checked there: %v", got)
	}
	if got := run(t, s.Content(), mail("hosted", "anna@example.com", "", "From: boss@example.com")); got != nil {
		t.Errorf("a hosted domain: %v", got)
	}
}

// What comes in from outside, or from nobody, is not ours to judge.
func TestOnlyAccounts(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	in := mail("own", "anna@example.com", "boss@example.com", "From: boss@example.com")
	in.Direction = filter.Inbound
	nobody := mail("own", "", "boss@example.com", "From: boss@example.com")
	for _, m := range []*filter.Message{in, nobody} {
		if got := append(run(t, s.Sender(), m), run(t, s.Content(), m)...); got != nil {
			t.Error(got)
		}
	}
}

// Where a header names the account, MAIL FROM is judged when it is known.
func TestLateAccount(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	m := mail("late", "10.0.0.0/8", "anna@example.com", "From: anna@example.com")
	if got := run(t, s.Sender(), m); got != nil {
		t.Error(got)
	}
	m.Account = "anna@example.com"
	if got := run(t, s.Content(), m); got != nil {
		t.Error(got)
	}
	m.Account = "eve@example.com"
	want := []string{"SENDER_FOREIGN anna@example.com", "FROM_FOREIGN anna@example.com"}
	if d := cmp.Diff(want, run(t, s.Content(), m)); d != "" {
		t.Error(d)
	}
}

func TestLoginsWithoutHome(t *testing.T) {
	c := config()
	c.Home = ""
	s := senders(t, c, (&clock{start}).now)
	if got := run(t, s.Sender(), mail("own", "bob", "bob@example.com", "")); got == nil {
		t.Error("a bare login owns an address without a home")
	}
	if got := run(t, s.Sender(), mail("own", "bob", "sales@example.com", "")); got != nil {
		t.Error(got)
	}
}

func TestUnreadable(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	m := mail("own", "anna@example.com", "", "")
	m.Parts = func() (*mime.Tree, error) { return nil, errors.New("disk") }
	_, err := s.Content().Check(t.Context(), m)
	var plain filter.PlainError
	if !errors.As(err, &plain) || plain.Plain() != "the author could not be read" {
		t.Error(err)
	}
}

func TestGrantsThatCannotBeRead(t *testing.T) {
	for as, accounts := range map[string][]string{"sales": {"a"}, "@": {"a"}, "@a b": {"a"}, "a@b@c": {"a"}, "sales@example.com": nil, "x@example.com": {" "}} {
		_, err := account.New(account.Config{Allow: map[string][]string{as: accounts}}, account.Parts{Now: (&clock{start}).now, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.HasPrefix(err.Error(), "senders.allow: \""+as+"\"") {
			t.Errorf("%s: %v", as, err)
		}
	}
}

func write(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "senders")
	write(t, path, `# who may write as whom
sales@example.org   anna@example.com, bob
@partner.example	anna@example.com   # all of it
"a b#c"@example.org anna@example.com

team@example.org anna@example.com
team@example.org eve@example.com,anna@example.com
`, start)
	c := &clock{start}
	var log bytes.Buffer
	var alerts []string
	s, err := account.New(account.Config{File: path}, account.Parts{
		Now: c.now, Log: slog.New(slog.NewTextHandler(&log, nil)),
		Alert: func(_ string, over bool) { alerts = append(alerts, fmt.Sprint("over ", over)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	may := func(acct, from string) bool {
		t.Helper()
		return run(t, s.Sender(), mail("own", acct, from, "")) == nil
	}
	for _, ok := range [][2]string{
		{"anna@example.com", "sales@example.org"}, {"bob", "sales+x@example.org"}, {"anna@example.com", "x@partner.example"},
		{"anna@example.com", `"a b#c"@example.org`}, {"anna@example.com", "team@example.org"}, {"eve@example.com", "team@example.org"},
	} {
		if !may(ok[0], ok[1]) {
			t.Errorf("%s may not write as %s", ok[0], ok[1])
		}
	}
	if may("eve@example.com", "sales@example.org") || may("of", "x@partner.example") {
		t.Error("somebody may who was not named")
	}

	write(t, path, "sales@example.org eve@example.com\n", start.Add(time.Minute))
	if may("eve@example.com", "sales@example.org") {
		t.Error("the file is looked at for every message")
	}
	c.t = c.t.Add(2 * time.Second)
	if !may("eve@example.com", "sales@example.org") || may("anna@example.com", "sales@example.org") {
		t.Error("a changed file is not read")
	}

	for _, broken := range []func(){
		func() { write(t, path, "sales@example.org\n", start.Add(2*time.Minute)) },
		func() {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		broken()
		log.Reset()
		for range 3 {
			c.t = c.t.Add(2 * time.Second)
			if !may("eve@example.com", "sales@example.org") {
				t.Error("the last good file does not stand")
			}
		}
		if n := strings.Count(log.String(), "the last good one stands"); n != 1 {
			t.Errorf("told %d times: %s", n, log.String())
		}
	}
	write(t, path, "sales@example.org anna@example.com\n", start.Add(3*time.Minute))
	c.t = c.t.Add(-time.Hour) // the clock was set back: the file is looked at all the same
	if !may("anna@example.com", "sales@example.org") {
		t.Error("a file that is there again is not read")
	}
	if n := len(alerts); n < 2 || alerts[0] != "over false" || alerts[n-1] != "over true" {
		t.Errorf("alerts: %q", alerts)
	}
}

// Sessions at once, while the file and the configuration change under them.
func TestSessionsAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "senders")
	write(t, path, "sales@example.org anna@example.com\n", start)
	var steps atomic.Int64
	now := func() time.Time { return start.Add(time.Duration(steps.Add(1)) * time.Second) }
	s := senders(t, account.Config{File: path}, now)
	check := s.Sender()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				m := &filter.Message{Direction: filter.Outbound, Account: "anna@example.com", From: "sales@example.org"}
				if found, err := check.Check(t.Context(), m); err != nil || found != nil {
					t.Error(found, err)
				}
			}
		})
	}
	for i := range 20 {
		other := path + ".new"
		write(t, other, "sales@example.org anna@example.com, bob\n"+strings.Repeat("# x\n", i), start)
		if err := os.Rename(other, path); err != nil {
			t.Fatal(err)
		}
		if err := s.Reload(account.Config{File: path}); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
}

func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "senders")
	for text, want := range map[string]string{
		"a@b.example x\nsales x\n":                     `:2: "sales" is neither an address nor @domain`,
		"a@b.example\n":                                `:1: "a@b.example" names no account`,
		"\n# x\na@b.example # x\n":                     `:3: "a@b.example" names no account`,
		"@b..example x\n":                              `:1: "@b..example" is neither`,
		"\"a b@c.example x\n":                          `:1: "\"a b@c.example x" is neither`,
		"a@b.example x\n" + strings.Repeat("x", 70000): `:2: bufio.Scanner: token too long`,
	} {
		write(t, path, text, start)
		if err := account.CheckFile(path); err == nil || !strings.HasPrefix(err.Error(), "senders: "+path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if _, err := account.New(account.Config{File: path}, account.Parts{Now: (&clock{start}).now}); err == nil {
			t.Error("it starts with a file it cannot read")
		}
	}
	if err := account.CheckFile(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := account.CheckFile(os.DevNull); err != nil {
		t.Error(err)
	}
	write(t, path, "", start)
	if err := os.Truncate(path, 65<<20); err != nil {
		t.Fatal(err)
	}
	if err := account.CheckFile(path); err == nil {
		t.Error("a huge file is read")
	}
}

func TestReloadIsWholeOrNotAtAll(t *testing.T) {
	s := senders(t, config(), (&clock{start}).now)
	bad := config()
	bad.Allow = map[string][]string{"nonsense": {"x"}}
	bad.Listeners = nil
	if s.Reload(bad) == nil {
		t.Fatal("a broken configuration is taken")
	}
	if got := run(t, s.Sender(), mail("any", "anna@example.com", "boss@example.com", "")); got != nil {
		t.Errorf("half of a broken configuration was taken: %v", got)
	}
	good := config()
	good.Allow = nil
	if err := s.Reload(good); err != nil {
		t.Fatal(err)
	}
	if got := run(t, s.Sender(), mail("own", "anna@example.com", "sales@example.com", "")); got == nil {
		t.Error("an old grant stays")
	}
}

func TestAuditRefused(t *testing.T) {
	c := &clock{start}
	var rows []string
	var fault error
	o := account.AuditRefused(c.now, func(_ context.Context, acct, address, kind string) error {
		rows = append(rows, strings.Join([]string{acct, address, kind}, " "))
		return fault
	})
	m := mail("own", "anna@example.com", "boss@example.com", "")
	refused := filter.Outcome{
		Report: filter.Report{Findings: []filter.Finding{{Symbol: account.SenderForeign, Detail: "boss@example.com"}, {Symbol: "OTHER"}, {Symbol: account.FromForeign, Detail: "ceo@example.com"}}},
		Fates:  []filter.Fate{{State: filter.Delivered}, {State: filter.Rejected}},
	}
	done := func(out filter.Outcome) error { return o.Done(t.Context(), m, out) }
	for range 3 {
		if err := done(refused); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"anna@example.com boss@example.com SENDER_FOREIGN", "anna@example.com ceo@example.com FROM_FOREIGN"}
	if d := cmp.Diff(want, rows); d != "" {
		t.Error(d)
	}
	rows = nil
	held := refused
	held.Fates = []filter.Fate{{State: filter.Held}}
	if err := done(held); err != nil || rows != nil {
		t.Errorf("what was not refused is written down: %v %v", rows, err)
	}
	c.t = c.t.Add(2 * time.Hour)
	fault = errors.New("disk")
	if err := done(refused); !errors.Is(err, fault) || len(rows) != 2 {
		t.Errorf("%v %v", err, rows)
	}
	fault = nil
	if err := done(refused); err != nil || len(rows) != 4 {
		t.Errorf("what could not be written is not tried again: %v %v", rows, err)
	}
	rows = nil
	for i := range 5000 { // an account that tries addresses at random
		refused.Report.Findings = []filter.Finding{{Symbol: account.FromForeign, Detail: string(rune('a'+i%26)) + strings.Repeat("x", i/26) + "@example.com"}}
		if err := done(refused); err != nil {
			t.Fatal(err)
		}
	}
	if len(rows) != 5000 {
		t.Errorf("%d rows", len(rows))
	}
}
