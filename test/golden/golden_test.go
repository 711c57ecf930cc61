// Package golden_test runs the golden mails: one folder a case, with the mail, its
// circumstances and the symbols that all checks together find. Real mail of one's own goes
// into the folder private, which git does not see.
package golden_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse"
	"postern/blocklist"
	"postern/filter"
	"postern/filter/attach"
	"postern/filter/auth"
	"postern/filter/clamav"
	"postern/filter/limit"
	"postern/filter/sender"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

var update = flag.Bool("update", false, "rewrite the expected symbols")

// folders hold the cases; the second is for mail that must not be published.
var folders = []string{"cases", "private"}

// now is when the golden mails are judged unless they say otherwise.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// elsewhere are the symbols that no mail by itself can fire here, and what tests them.
var elsewhere = map[string]string{
	"EARLY_TALKER":  "internal/smtpd: needs a session",
	"LONG_LINE":     "internal/smtpd: needs a session",
	"BARE_NEWLINE":  "internal/smtpd: needs a session",
	"RATE_BAD_RCPT": "filter/limit: needs refused recipients before",
	"BACKSCATTER":   "needs the send log",
	"ARC_TRUSTED":   "no check verifies ARC yet",
	"DKIM_NEUTRAL":  "only recorded results say so: filter/auth",

	"ARC_PASS":            "filter/auth: its own suites",
	"ARC_FAIL":            "filter/auth: its own suites",
	"ARC_NONE":            "filter/auth: its own suites",
	"ARC_TEMPERROR":       "filter/auth: its own suites",
	"DKIM_WEAK_KEY":       "filter/auth: its own suites",
	"KNOWN_CORRESPONDENT": "filter/history: needs mail that came before",
	"LIST_KNOWN":          "filter/history: needs mail that came before",
	"SOURCE_KNOWN":        "filter/history: needs mail that came before",
	"SIGNATURE_REPLAYED":  "filter/history: needs mail that came before",
	"FORWARDER_KNOWN":     "filter/history: needs a configured forwarder",
	"GREY_NEW":            "filter/greylist: needs the memory of first contacts",
	"RATE_ERRORS":         "filter/limit: needs refusals before",
	"RATE_ACCOUNT_RCPT":   "filter/limit: needs mail of the account before",
	"SENDER_FOREIGN":      "filter/account: needs to know whose addresses are whose",
	"FROM_FOREIGN":        "filter/account: needs to know whose addresses are whose",
	"DNSWL_NONE":          "blocklist: named by the operator's lists",
	"DNSWL_LOW":           "blocklist: named by the operator's lists",
	"DNSWL_MED":           "blocklist: named by the operator's lists",
	"DNSWL_HI":            "blocklist: named by the operator's lists",
	"DBL_LINK_SPAM":       "blocklist: named by the operator's lists",
	"DBL_LINK_PHISH":      "blocklist: named by the operator's lists",
	"DBL_LINK_MALWARE":    "blocklist: named by the operator's lists",
	"DBL_LINK_BOTNET":     "blocklist: named by the operator's lists",
	"DBL_LINK_ABUSED":     "blocklist: named by the operator's lists",
	"URIBL_BLACK":         "blocklist: named by the operator's lists",
	"URIBL_GREY":          "blocklist: named by the operator's lists",
	"SURBL_PH":            "blocklist: named by the operator's lists",
	"SURBL_MW":            "blocklist: named by the operator's lists",
	"SURBL_ABUSE":         "blocklist: named by the operator's lists",
	"SURBL_CR":            "blocklist: named by the operator's lists",

	"MIME_TOO_MUCH_WORK": "internal/mime: needs a message of megabytes",
}

func TestGoldenMails(t *testing.T) {
	set := load(t)
	mailtest.Golden{Dirs: folders, Update: *update, Known: known(set), Run: func(ctx context.Context, t testing.TB, c mailtest.Case) ([]filter.Finding, error) {
		return newWorld(t, c).run(ctx, set)
	}}.Test(t)
}

// TestEverySymbolIsCovered wants a mail that fires each symbol of a check and one that
// nearly does. Patterns and composites carry tests of their own.
func TestEverySymbolIsCovered(t *testing.T) {
	cases, err := mailtest.ReadCases(folders[0])
	if err != nil {
		t.Fatal(err)
	}
	var symbols []string
	for _, sym := range load(t).Symbols() {
		if sym.Kind == "check" && elsewhere[sym.Name] == "" {
			symbols = append(symbols, sym.Name)
		}
	}
	unfired, unmissed := mailtest.Uncovered(cases, symbols)
	if len(unfired) > 0 {
		t.Errorf("no golden mail fires %s", strings.Join(unfired, ", "))
	}
	if len(unmissed) > 0 {
		t.Errorf("no golden mail is a near miss of %s", strings.Join(unmissed, ", "))
	}
	t.Logf("%d cases, %d symbols", len(cases), len(symbols))
}

// TestChecksAndRulesAgree wants a worth for every symbol that checks can emit.
func TestChecksAndRulesAgree(t *testing.T) {
	emitted := append(attach.Symbols(),
		clamav.Virus, clamav.Unscannable, clamav.Encrypted, blocklist.OwnAllow, blocklist.OwnBlock,
		sender.PTRNone, sender.PTRMismatch, sender.PTRGeneric, sender.HeloBareIP, sender.HeloLiteral, sender.HeloIsUs,
		sender.HeloNoDot, sender.HeloInvalid, sender.HeloNoName, sender.SenderNoHost, sender.SenderNullMX,
		limit.RateIP, limit.RateNet, limit.RateDomain, limit.RateAccount, limit.RateRecipient, limit.RateBadRcpt,
		"ACCOUNT_SUSPENDED", "EARLY_TALKER", "LONG_LINE", "BARE_NEWLINE", "DKIM_ADDED_FIELDS", "FROM_MULTIPLE", "FROM_MALFORMED")
	for method, results := range map[string]string{
		"SPF": "PASS FAIL SOFTFAIL NEUTRAL NONE TEMPERROR PERMERROR", "DKIM": "PASS FAIL POLICY NEUTRAL NONE TEMPERROR PERMERROR",
		"DMARC": "PASS FAIL NONE TEMPERROR PERMERROR REJECT QUARANTINE",
	} {
		for r := range strings.FieldsSeq(results) {
			emitted = append(emitted, method+"_"+r)
		}
	}
	set := load(t)
	if unknown := set.Unknown(emitted...); len(unknown) > 0 {
		t.Errorf("no rule knows %s", strings.Join(unknown, ", "))
	}
	for _, sym := range set.Symbols() {
		if strings.HasPrefix(sym.Name, "MIME_") && !slices.Contains(emitted, sym.Name) {
			t.Errorf("no check emits %s", sym.Name)
		}
	}
}

func load(t testing.TB) *rules.Set {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func known(set *rules.Set) func(string) bool {
	return func(symbol string) bool { return len(set.Unknown(symbol)) == 0 }
}

// base is the DNS of every case: example.org sends from 192.0.2.1 and everything about it is
// in order. A case lays its own names over it.
func base() mailtest.Zone {
	return mailtest.Zone{
		"example.org":                       {"A 192.0.2.1", "MX 10 mail.example.org", "TXT v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"},
		"mail.example.org":                  {"A 192.0.2.1", "AAAA 2001:db8::1"},
		"_dmarc.example.org":                {"TXT v=DMARC1; p=none"},
		mailtest.ReverseName("192.0.2.1"):   {"PTR mail.example.org"},
		mailtest.ReverseName("2001:db8::1"): {"PTR mail.example.org"},
	}
}

// world is everything around one golden mail.
type world struct {
	t        testing.TB
	c        mailtest.Case
	resolver *dns.Resolver
	m        *filter.Message
}

func newWorld(t testing.TB, c mailtest.Case) *world {
	zone := base()
	maps.Copy(zone, c.DNS)
	for _, l := range c.Lists {
		zone["2.0.0.127."+l.Zone] = []string{"A 127.0.0.2"} // RFC 5782: what a living list answers
		zone["TEST."+l.Zone] = []string{"A 127.0.0.2"}
	}
	server := mailtest.NewDNS(t, zone)
	resolver, err := dns.New(dns.Config{Servers: []string{server.Addr()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	return &world{t: t, c: c, resolver: resolver, m: message(t, c)}
}

func message(t testing.TB, c mailtest.Case) *filter.Message {
	ip, err := netip.ParseAddr(cmp.Or(c.IP, "192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.NewReader(crlf(c.Mail))
	m := &filter.Message{
		ID: "01jd8vzq4cxkp8w2m5r7t9ya3b", Time: at(c), Account: c.Login, From: "ann@example.org",
		Client: filter.Client{IP: ip, Helo: cmp.Or(c.Helo, "mail.example.org")}, Body: body, Size: body.Size(),
	}
	if c.From != nil {
		m.From = *c.From
	}
	if c.Login != "" {
		m.Direction = filter.Outbound
	}
	to := c.To
	if len(to) == 0 {
		to = []string{"bob@example.com"}
	}
	for _, a := range to {
		m.To = append(m.To, filter.Recipient{Address: a, Policy: "default"})
	}
	m.Parts = sync.OnceValues(func() (*mime.Tree, error) { return mime.Walk(body, body.Size(), mime.DefaultLimits()) })
	return m
}

func at(c mailtest.Case) time.Time {
	if c.Time.IsZero() {
		return now
	}
	return c.Time
}

// crlf makes every line end CRLF.
func crlf(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// run walks the stages as a session does.
func (w *world) run(ctx context.Context, set *rules.Set) ([]filter.Finding, error) {
	p := &filter.Pipeline{Steps: w.steps(ctx, set), Judge: set}
	body := w.m.Body
	w.m.Body = nil
	var all filter.Report
	for _, stage := range []filter.Stage{filter.OnConnect, filter.OnSender, filter.OnRecipient} {
		all.Join(p.Run(ctx, stage, w.m))
	}
	w.m.Seen, w.m.Body = all.Findings, body
	all.Join(p.Run(ctx, filter.OnData, w.m))
	for _, f := range all.Failures {
		if f.Reason == "internal fault" {
			w.t.Errorf("%s: %v", f.Step, f.Err)
		}
	}
	// What the rules make of it: composites are part of what a golden mail shows.
	for _, r := range set.Judge(w.m, all, "default").Reasons {
		if sym, ok := set.Symbol(r.Symbol); ok && sym.Kind == "composite" {
			all.Findings = append(all.Findings, filter.Finding{Symbol: r.Symbol})
		}
	}
	return all.Findings, nil
}

func (w *world) steps(ctx context.Context, set *rules.Set) []filter.Step {
	when := func() time.Time { return at(w.c) }
	lists, own := w.lists(ctx, when)
	bounds := w.limits(ctx, when)
	step := func(name string, stage filter.Stage, check filter.Check) filter.Step {
		return filter.Step{Name: name, Stage: stage, Check: check, Timeout: 20 * time.Second}
	}
	steps := []filter.Step{
		step("account", filter.OnSender, w.accounts(ctx, when)),
		step("limits", filter.OnSender, bounds.Sender()),
		step("limits", filter.OnRecipient, bounds.Recipient()),
		step("attachments", filter.OnData, &attach.Check{}),
		step("clamav", filter.OnData, w.scanner(ctx, when)),
		step("patterns", filter.OnData, set.Patterns()),
	}
	if w.m.Direction == filter.Outbound {
		return steps
	}
	ours := func(name string) bool { return name == "example.com" || name == "mx.example.com" }
	return append(steps,
		step("reverse", filter.OnConnect, sender.ReverseName(w.resolver)),
		step("lists", filter.OnConnect, lists.Client()),
		step("helo", filter.OnSender, sender.Helo(w.resolver, ours)),
		step("spf", filter.OnSender, auth.SPF(w.resolver, "mx.example.com")),
		step("sender", filter.OnSender, sender.Domain(w.resolver)),
		step("domain-lists", filter.OnSender, lists.Sender()),
		step("own-lists", filter.OnRecipient, own.Recipient()),
		step("auth", filter.OnData, withOwn(auth.Message(w.resolver, when, nil), own)))
}

// withOwn runs authentication and then the own lists, which need what it found.
func withOwn(authentication filter.Check, own *blocklist.Own) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		found, err := authentication.Check(ctx, m)
		results := func(context.Context, *filter.Message) ([]filter.Finding, error) {
			return slices.Concat(m.Seen, found), nil
		}
		listed, ownErr := own.Content(results).Check(ctx, m)
		return append(found, listed...), errors.Join(err, ownErr)
	})
}

func (w *world) lists(ctx context.Context, when func() time.Time) (*blocklist.Lists, *blocklist.Own) {
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	var configs []blocklist.ListConfig
	for i, l := range w.c.Lists {
		configs = append(configs, blocklist.ListConfig{Name: "list" + strconv.Itoa(i), Zone: l.Zone, Of: blocklist.Kind(l.Of), Codes: l.Codes})
	}
	lists, err := blocklist.NewLists(configs, blocklist.ListParts{Resolver: w.resolver, Now: when, Log: quiet})
	if err != nil {
		w.t.Fatal(err)
	}
	lists.Test(ctx)
	var entries []blocklist.Entry
	for _, v := range w.c.Block {
		entries = append(entries, blocklist.Entry{Value: v, Scope: blocklist.All, Reason: "golden", Author: "golden"})
	}
	for _, v := range w.c.Allow {
		entries = append(entries, blocklist.Entry{Allow: true, Value: v, Scope: blocklist.All, Reason: "golden", Author: "golden"})
	}
	own := blocklist.NewOwn(blocklist.OwnParts{Store: ownStore(entries), Now: when, Log: quiet})
	if err := own.Load(ctx); err != nil {
		w.t.Fatal(err)
	}
	return lists, own
}

// limits are bounds that earlier messages of the same sender have used up.
func (w *world) limits(ctx context.Context, when func() time.Time) *limit.Limiter {
	of := func(name string) limit.Rate { return limit.Rate{Minute: w.c.Rates[name]} }
	l := limit.New(limit.Config{IP: of("ip"), Net: of("net"), Domain: of("domain"), Account: of("account"), Recipient: of("recipient")}, when)
	for i := range 2 {
		earlier := *w.m
		earlier.ID = "earlier" + strconv.Itoa(i)
		for _, check := range []filter.Check{l.Sender(), l.Recipient()} {
			if _, err := check.Check(ctx, &earlier); err != nil {
				w.t.Fatal(err)
			}
		}
		outcome := filter.Outcome{Reply: "250 2.0.0 ok"}
		for _, to := range earlier.To {
			outcome.Fates = append(outcome.Fates, filter.Fate{Recipient: to.Address, State: filter.Delivered})
		}
		if err := l.Done(ctx, &earlier, outcome); err != nil {
			w.t.Fatal(err)
		}
	}
	return l
}

func (w *world) accounts(ctx context.Context, when func() time.Time) filter.Check {
	store := accountStore{}
	for _, name := range w.c.Suspended {
		store[name] = abuse.Account{Name: name, State: abuse.Suspended, Reason: "golden", Version: 1}
	}
	a, err := abuse.NewAccounts(ctx, store, when, slog.New(slog.NewTextHandler(io.Discard, nil)), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// scanner is clamd as far as the case says what it finds.
func (w *world) scanner(ctx context.Context, when func() time.Time) filter.Check {
	clamd := mailtest.StartClamd(w.t, "unix")
	for text, name := range w.c.Virus {
		if bytes.Contains(w.c.Mail, []byte(text)) {
			clamd.Mail(mailtest.ClamdAnswer{Reply: "stream: " + name + " FOUND\x00"})
		}
	}
	s, err := clamav.New(clamav.Config{Endpoints: []string{clamd.Endpoint}}, clamav.Parts{Now: when, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Probe(ctx); err != nil {
		w.t.Fatal(err)
	}
	return s
}

// ownStore is the operator's list in memory.
type ownStore []blocklist.Entry

func (s ownStore) ListRevision(context.Context) (uint64, error) { return 1, nil }
func (s ownStore) ListEntries(context.Context) ([]blocklist.Entry, uint64, error) {
	return slices.Clone(s), 1, nil
}
func (s ownStore) PutListEntry(context.Context, blocklist.Entry) error { return nil }
func (s ownStore) RemoveListEntry(context.Context, string) error       { return blocklist.ErrNotFound }

// accountStore holds account records in memory.
type accountStore map[string]abuse.Account

func (s accountStore) AccountRevision(context.Context) (uint64, error) { return 1, nil }
func (s accountStore) Accounts(context.Context) ([]abuse.Account, uint64, error) {
	return slices.Collect(maps.Values(s)), 1, nil
}
func (s accountStore) Account(_ context.Context, name string) (abuse.Account, error) {
	if a, ok := s[name]; ok {
		return a, nil
	}
	return abuse.Account{}, abuse.ErrNotFound
}
func (s accountStore) PutAccount(context.Context, abuse.Account) error { return nil }
