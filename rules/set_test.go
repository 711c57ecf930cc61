package rules_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/mime"
	"postern/rules"
)

func TestPolicyFor(t *testing.T) {
	s := layer(t, `policies: {pa: {}, pb: {}, pc: {}, pd: {}, pe: {}}
recipients:
  sales@example.com: pa
  ann+news@example.com: pb
  "*@example.com": pc
  "*@*.example.com": pd
  "*@Bücher.example": pe
  "sales@*": pb
  "postmaster@one.example.com": pa
accounts:
  ann: pa
  "*@example.com": pb
`)
	for address, want := range map[string]string{
		"sales@example.com": "pa", "SALES@Example.Com": "pa", "sales+x@example.com": "pa", `"sales"@example.com`: "pa",
		"ann+news@example.com": "pb", "ann+other@example.com": "pc", "ann@example.com": "pc",
		"x@sub.example.com": "pd", "x@a.b.example.com": "pd", "x@notexample.com": "default", "x@example.org": "default",
		"x@xn--bcher-kva.example": "pe", "x@bücher.example": "pe", "": "default",
		"sales@example.org": "pb", "Sales+x@Example.org": "pb", "x@sales": "default", "sales": "pb",
		// Who is refused can ask why, whatever "*" says; an address written out wins.
		"postmaster": "postmaster", "Postmaster@example.com": "postmaster", "postmaster+x@sub.example.com": "postmaster",
		"ABUSE@elsewhere.example": "postmaster", `"abuse"@example.org`: "postmaster", "postmaster@one.example.com": "pa",
		"notpostmaster@example.org": "default", "postmaster.x@example.org": "default",
	} {
		if got := s.PolicyFor(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	for account, want := range map[string]string{"ann": "pa", "ANN": "pa", "bob": "outgoing", "bob@example.com": "pb", "": "outgoing"} {
		if got := s.AccountPolicy(account); got != want {
			t.Errorf("%s: %s, want %s", account, got, want)
		}
	}
}

func TestLoadFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte("symbols: {SPF_FAIL: {score: 9}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := rules.Load("", dir)
	if err != nil {
		t.Fatal(err)
	}
	if sym, ok := s.Symbol("SPF_FAIL"); !ok || sym.Score != 900 || sym.Describe == "" {
		t.Errorf("%+v", sym)
	}
	if s.Revision() == load(t).Revision() {
		t.Error("other rules, same revision")
	}
	if _, err := rules.Load(filepath.Join(dir, "gone")); err == nil || !strings.Contains(err.Error(), "gone: cannot be read") {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestUnknown(t *testing.T) {
	s := load(t)
	if got := s.Unknown("RBL_MINE", "SPF_FAIL", "RBL_MINE", "A_NEW"); !slices.Equal(got, []string{"A_NEW", "RBL_MINE"}) {
		t.Error(got)
	}
	if _, ok := s.Symbol("RBL_MINE"); ok {
		t.Error("an unknown symbol is known")
	}
	if _, ok := s.Policy("none"); ok {
		t.Error("an unknown policy is known")
	}
}

func TestCheckNamesFailedTests(t *testing.T) {
	s := layer(t, `patterns:
  - id: T_WORD
    describe: A word
    in: body
    match: 'word'
    tests:
      hit: [no such thing]
      miss: [a word]
`)
	var got []string
	for _, p := range s.Check() {
		got = append(got, p.Error())
	}
	want := []string{"mine/r.yaml:7:13: T_WORD does not match this text, but should", "mine/r.yaml:8:14: T_WORD matches this text, but should not"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

const views = `patterns:
  - {id: T_SUBJECT, describe: x, in: subject, match: 'Grüße'}
  - {id: T_FROM, describe: x, in: from, match: 'Änn'}
  - {id: T_HEADER, describe: x, in: 'header:X-Thing', match: '^two$'}
  - {id: T_BODY, describe: x, in: body, match: 'plain and\s(?s:.*)marked up'}
  - {id: T_HTML, describe: x, in: html, match: '<b class=x>'}
  - {id: T_URL, describe: x, in: url, match: '^https://example\.com/a\?b=c$'}
  - {id: T_FILE, describe: x, in: filename, match: '^a b\.exe$'}
  - {id: T_RAW, describe: x, in: raw, match: 'boundary="?sep'}
  - {id: T_MISS, describe: x, in: raw, match: 'never there'}
`

const sampleMail = `From: =?utf-8?q?=C3=84nn?= <ann@example.com>
Subject: =?utf-8?b?R3LDvMOfZQ==?=
X-Thing: one
X-Thing: two
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=sep

--sep
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: base64

cGxhaW4gYW5k
--sep
Content-Type: text/html

<p>is <b class=x>marked</b> up <a href="https://example.com/a?b=c">here</a></p>
--sep
Content-Type: application/octet-stream; name="a b.exe"
Content-Transfer-Encoding: base64

AAAA
--sep--
`

func patternHits(t *testing.T, s *rules.Set, m *filter.Message) []string {
	t.Helper()
	found, err := s.Patterns().Check(context.Background(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		if strings.HasPrefix(f.Symbol, "T_") {
			out = append(out, f.Symbol)
		}
	}
	return out
}

func TestPatternViews(t *testing.T) {
	got := patternHits(t, layer(t, views), message([]byte(sampleMail)))
	if want := []string{"T_BODY", "T_FILE", "T_FROM", "T_HEADER", "T_HTML", "T_RAW", "T_SUBJECT", "T_URL"}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func TestRawIsReadInStretches(t *testing.T) {
	s := layer(t, `patterns: [{id: T_EDGE, describe: x, in: raw, match: 'edge-of-it'}]`)
	for at, want := range map[int]bool{0: true, 256<<10 - 5: true, 256<<10 - 4<<10 - 3: true, 600 << 10: true, 1<<20 - 10: true, 1<<20 - 9: false, 2 << 20: false} {
		raw := bytes.Repeat([]byte("é123456789012\r\n"), 200_000)[:3<<20-1]
		copy(raw[at:], "edge-of-it")
		if got := len(patternHits(t, s, message(raw))) == 1; got != want {
			t.Errorf("at %d: %v", at, got)
		}
	}
}

func TestBlanksOfEveryKind(t *testing.T) {
	s := layer(t, `patterns: [{id: T_BODY, describe: x, in: body, match: 'two\swords'}, {id: T_RAW, describe: x, in: raw, match: 'two\swords'}]`)
	m := message([]byte("Content-Type: text/html; charset=utf-8\n\n<p>two&nbsp;words</p>\n"))
	if got := patternHits(t, s, m); !slices.Equal(got, []string{"T_BODY"}) {
		t.Errorf("%v", got)
	}
	m = message([]byte("Content-Type: text/plain; charset=utf-8\n\ntwo\u2003words\n"))
	if got := patternHits(t, s, m); !slices.Equal(got, []string{"T_BODY"}) {
		t.Errorf("only prose is changed: %v", got)
	}
}

func TestPatternsBeforeData(t *testing.T) {
	found, err := load(t).Patterns().Check(context.Background(), &filter.Message{})
	if found != nil || err != nil {
		t.Errorf("%v %v", found, err)
	}
}

func TestPatternsThatCannotTell(t *testing.T) {
	s := load(t)
	m := message([]byte(sampleMail))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Patterns().Check(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	m.Parts = func() (*mime.Tree, error) { return nil, errors.New("disk") }
	_, err := s.Patterns().Check(context.Background(), m)
	var plain filter.PlainError
	if !errors.As(err, &plain) || plain.Plain() != "the message could not be read" {
		t.Errorf("%v", err)
	}
}

func TestExplain(t *testing.T) {
	s := layer(t, worths)
	for symbol, want := range map[string][]string{
		"SPF_FAIL":     {"SPF_FAIL: The sending host is not allowed", "score      +1.50", "none of its own", "unless     DKIM_PASS", "filter/auth", "part of    LURE_UNPROVEN", "default/auth.yaml:"},
		"T_NO_RCPT":    {"reject, already at RCPT", "the operator's configuration", "mine/r.yaml:"},
		"VIRUS":        {"blind: strip, default: reject, gentle: quarantine,", "mild: tag, open: reject, outgoing: reject, patient: reject, postmaster: quarantine"},
		"DMARC_REJECT": {"default: reject", "postmaster: tag", "unless     ARC_TRUSTED, FORWARDER_KNOWN, LIST_KNOWN, SOURCE_KNOWN, OWN_ALLOW (the score only)"},
		"SUBJ_PRIZE":   {"looks in   subject", "matches    (?i)", "that hit"},
		"T_OF_BOTH":    {"when       T_BOTH and not T_MINUS"},
		"HAS_LIST_ID":  {"looks in   header:list-id"},
	} {
		var b strings.Builder
		if err := s.Explain(&b, symbol); err != nil {
			t.Errorf("%s: %v", symbol, err)
		}
		for _, w := range want {
			if !strings.Contains(b.String(), w) {
				t.Errorf("%s lacks %q:\n%s", symbol, w, b.String())
			}
		}
	}
	for symbol, want := range map[string]string{"SPF_FIAL": "did you mean SPF_FAIL?", "ZZZZZZZZZZ": "it scores 0"} {
		err := s.Explain(&strings.Builder{}, symbol)
		var unknown *rules.UnknownSymbol
		if !errors.As(err, &unknown) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", symbol, err)
		}
	}
}

// TestDocumentIsUpToDate compares docs/checks.md with what the rules say. With -update it
// writes the file.
func TestDocumentIsUpToDate(t *testing.T) {
	var b bytes.Buffer
	if err := load(t).Document(&b); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(mailtest.ModuleRoot(t), "docs", "checks.md")
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(old, b.Bytes()) {
		t.Error("docs/checks.md is not what the rules say; run go test ./rules -run TestDocumentIsUpToDate -update")
	}
	for _, sym := range load(t).Symbols() {
		if !strings.Contains(b.String(), "| "+sym.Name+" | ") {
			t.Errorf("%s is not documented", sym.Name)
		}
	}
}

func BenchmarkPatterns(b *testing.B) {
	s := load(b)
	raw := []byte(strings.Replace(sampleMail, "is <b", strings.Repeat("words that nobody minds, ", 700)+"<b", 1))
	check := s.Patterns()
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	m := message(raw)
	for b.Loop() {
		if _, err := check.Check(context.Background(), m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := rules.Load(); err != nil {
			b.Fatal(err)
		}
	}
}
