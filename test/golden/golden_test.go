// Package golden_test runs the golden mails: one folder a case, with the mail, its
// circumstances and the symbols that all checks together find. Real mail of one's own goes
// into the folder private, which git does not see.
package golden_test

import (
	"context"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/suppress"
	"postern/blocklist"
	"postern/filter"
	"postern/filter/account"
	"postern/filter/attach"
	"postern/filter/bayes"
	"postern/filter/clamav"
	"postern/filter/greylist"
	"postern/filter/header"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/filter/link"
	"postern/filter/page"
	"postern/filter/sender"
	"postern/filter/shape"
	"postern/internal/mailtest"
	"postern/rules"
)

var update = flag.Bool("update", false, "rewrite the expected symbols")

// folders hold the cases; the second is for mail that must not be published.
var folders = []string{"cases", "private"}

// now is when the golden mails are judged unless they say otherwise.
var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// elsewhere are the symbols that no mail by itself can fire here, and what tests them.
var elsewhere = map[string]string{
	"EARLY_TALKER":     "internal/smtpd: needs a session",
	"LONG_LINE":        "internal/smtpd: needs a session",
	"BARE_NEWLINE":     "internal/smtpd: needs a session",
	"FILE_TYPE":        "cmd/postern/steps: needs a policy that names types",
	"BACKSCATTER":      "needs the send log",
	"SOURCE_HALF_OPEN": "cmd/postern/sources: needs a source that was blocked",
	"SOURCE_WAIT":      "cmd/postern/sources: the same",
	"STRIP_FAILED":     "cmd/postern/glue: needs a message on its way to a backend",
	"DKIM_NEUTRAL":     "only recorded results say so: filter/auth",
	"ARC_NONE":         "only recorded results say so: a message without a chain has no finding",

	"MIME_TOO_MUCH_WORK": "internal/mime: needs a message of megabytes",
}

func TestGoldenMails(t *testing.T) {
	k := newKit(t)
	mailtest.Golden{Dirs: folders, Update: *update, Known: known(k.set), Run: func(ctx context.Context, t testing.TB, c mailtest.Case) ([]filter.Finding, error) {
		found, _ := newWorld(t, c, k).run(ctx)
		return found, nil
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
	emitted := append(slices.Concat(attach.Symbols(), header.Symbols(), link.Symbols(), shape.Symbols(), page.Symbols()),
		clamav.Virus, clamav.Unscannable, clamav.Encrypted, blocklist.OwnAllow, blocklist.OwnBlock,
		sender.PTRNone, sender.PTRMismatch, sender.PTRGeneric, sender.HeloBareIP, sender.HeloLiteral, sender.HeloIsUs,
		sender.HeloNoDot, sender.HeloInvalid, sender.HeloNoName, sender.SenderNoHost, sender.SenderNullMX,
		limit.RateIP, limit.RateNet, limit.RateDomain, limit.RateAccount, limit.RateRecipient, limit.RateBadRcpt,
		limit.RateErrors, limit.RateAccountRcpt, account.SenderForeign, account.FromForeign, greylist.New,
		history.SourceKnown, history.ListKnown, history.ForwarderKnown, history.KnownCorrespondent, history.SignatureReplayed,
		limit.Throttled, limit.ThrottledRcpt, bayes.Bayes00, bayes.Bayes05, bayes.Bayes20, bayes.Bayes50, bayes.Bayes80, bayes.Bayes95, bayes.Bayes99, "ARC_TRUSTED", "DKIM_WEAK_KEY", suppress.Symbol, "ACCOUNT_SUSPENDED", "ACCOUNT_HELD", "ACCOUNT_WATCHED", "EARLY_TALKER", "LONG_LINE", "BARE_NEWLINE", "DKIM_ADDED_FIELDS", "FROM_MULTIPLE", "FROM_MALFORMED")
	for method, results := range map[string]string{
		"SPF": "PASS FAIL SOFTFAIL NEUTRAL NONE TEMPERROR PERMERROR", "DKIM": "PASS FAIL POLICY NEUTRAL NONE TEMPERROR PERMERROR",
		"DMARC": "PASS FAIL NONE TEMPERROR PERMERROR REJECT QUARANTINE", "ARC": "PASS FAIL TEMPERROR",
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
