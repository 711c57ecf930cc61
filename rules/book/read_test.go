package book_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/internal/strict"
	"postern/rules/book"
)

// files makes a layer of "name", "text", "name", "text".
func files(name string, pairs ...string) book.Layer {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return book.Layer{Name: name, FS: m}
}

const base = `symbols:
  SPF_FAIL: {score: 1.5, describe: The host is not allowed}
  VIRUS: {describe: A virus}
patterns:
  - id: SUBJ_PRIZE
    describe: A prize
    in: subject
    match: '(?i)prize'
    score: 2.0
    tests: {hit: [A prize], miss: [none]}
composites:
  - {id: BOTH, describe: Both of them, when: SPF_FAIL and SUBJ_PRIZE, score: 1}
policies:
  default: {tag: 4, greylist: 5, quarantine: 7, reject: 15}
  sales: {extends: default, quarantine: 9}
recipients: {"*": default, sales@example.com: sales}
accounts: {"*": default}
`

func read(t *testing.T, layers ...book.Layer) *book.Book {
	t.Helper()
	b, err := book.Read(layers...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRead(t *testing.T) {
	b := read(t, files("base", "a.yaml", base))
	got := *b.Symbols["SUBJ_PRIZE"]
	want := book.Symbol{Name: "SUBJ_PRIZE", Score: 200, Describe: "A prize", Kind: book.IsPattern, Place: strict.Place{File: "base/a.yaml", Line: 5, Column: 9}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := b.Patterns[0]; p.In != "subject" || p.Hit[0].Text != "A prize" || p.Hit[0].Place.Line != 10 {
		t.Errorf("%+v", p)
	}
	if c := b.Composites[0]; c.Text != "SPF_FAIL and SUBJ_PRIZE" {
		t.Errorf("%+v", c)
	}
	if p := b.Policies["sales"]; p.Quarantine != 900 || p.Reject != 1500 || p.Extends != "default" || !p.Antivirus.Scan {
		t.Errorf("%+v", p)
	}
	if b.Recipients["sales@example.com"] != "sales" || len(b.Revision) != 12 {
		t.Errorf("%v %q", b.Recipients, b.Revision)
	}
}

func TestLayersOverrideFieldByField(t *testing.T) {
	b := read(t, files("base", "a.yaml", base), files("mine", "z.yaml", `symbols:
  SPF_FAIL: {score: -0.25, unless: VIRUS}
  SUBJ_PRIZE: {score: 3}
  BOTH: {action: tag}
patterns:
  - {id: SUBJ_PRIZE, match: lottery}
policies:
  default: {reject: 12.5, antivirus: {scan: false}}
  sales: {antivirus: {infected: tag}, dmarc: {reject: hold}, unscannable: tag, keep_days: 7}
recipients: {"*": sales}
`))
	if s := b.Symbols["SPF_FAIL"]; s.Score != -25 || !slices.Equal(s.Unless, []string{"VIRUS"}) || s.Describe != "The host is not allowed" {
		t.Errorf("%+v", s)
	}
	if s := b.Symbols["SUBJ_PRIZE"]; s.Score != 300 || s.Kind != book.IsPattern {
		t.Errorf("%+v", s)
	}
	if b.Symbols["BOTH"].Action != filter.Tag || b.Symbols["BOTH"].Score != 100 {
		t.Errorf("%+v", b.Symbols["BOTH"])
	}
	if p := b.Patterns[0]; p.Match != "lottery" || p.In != "subject" || len(p.Hit) != 0 {
		t.Errorf("an expression keeps the tests of another: %+v", p)
	}
	want := book.Policy{Name: "sales", Extends: "default", Tag: 400, Greylist: 500, Quarantine: 900, Reject: 1250, Most: filter.Reject,
		Antivirus:   book.Antivirus{Scan: false, Infected: "tag", KeepOriginal: true},
		DMARC:       book.DMARC{Reject: "hold", Quarantine: "hold", OnList: "hold"},
		Unscannable: filter.Tag, Encrypted: filter.Tag, KeepDays: 7, Digest: "daily"}
	if diff := cmp.Diff(want, *b.Policies["sales"]); diff != "" {
		t.Error(diff)
	}
	if b.Recipients["*"] != "sales" || b.Recipients["sales@example.com"] != "sales" {
		t.Errorf("%v", b.Recipients)
	}
}

// TestQuiet: a later layer makes a pattern quiet, or has it said and worth something.
func TestQuiet(t *testing.T) {
	quiet := files("a", "a.yaml", "patterns: [{id: AA, describe: x, in: body, match: a, quiet: true}]\ncomposites: [{id: BB, describe: y, when: not AA}]")
	b := read(t, quiet, files("b", "b.yaml", "composites: [{id: BB, quiet: true}]"))
	if !b.Symbols["AA"].Quiet || !b.Symbols["BB"].Quiet {
		t.Errorf("%+v %+v", b.Symbols["AA"], b.Symbols["BB"])
	}
	b = read(t, quiet, files("b", "b.yaml", "patterns: [{id: AA, quiet: false, score: 2}]"))
	if s := b.Symbols["AA"]; s.Quiet || s.Score != 200 {
		t.Errorf("%+v", s)
	}
	if _, err := book.Read(quiet, files("b", "b.yaml", "symbols: {AA: {score: 2}}")); err == nil || !strings.Contains(err.Error(), "AA is quiet") {
		t.Error(err)
	}
}

func TestUnless(t *testing.T) {
	const symbols = "symbols:\n  AA: {describe: a}\n  AB: {describe: b}\n  AC: {unless: [AA, AB], describe: c}\n  AD: {unless: AA, describe: d}\n"
	b := read(t, files("base", "a.yaml", symbols))
	if got := b.Symbols["AC"].Unless; !slices.Equal(got, []string{"AA", "AB"}) {
		t.Errorf("%v", got)
	}
	if got := b.Symbols["AD"].Unless; !slices.Equal(got, []string{"AA"}) {
		t.Errorf("%v", got)
	}
	b = read(t, files("base", "a.yaml", symbols), files("mine", "a.yaml", "symbols: {AC: {unless: []}, AD: {unless: AB}}"))
	if len(b.Symbols["AC"].Unless) != 0 || !slices.Equal(b.Symbols["AD"].Unless, []string{"AB"}) {
		t.Errorf("%v %v", b.Symbols["AC"].Unless, b.Symbols["AD"].Unless)
	}
}

func TestGreylistAndMost(t *testing.T) {
	b := read(t, files("base", "a.yaml", "policies:\n  default: {greylist: 4.5}\n  off: {greylist: off, most: tag}\n  under: {extends: off}\n  on: {extends: off, greylist: 3, most: reject}\n"))
	for name, want := range map[string]struct {
		greylist filter.Score
		most     filter.Action
	}{"default": {450, filter.Reject}, "off": {0, filter.Tag}, "under": {0, filter.Tag}, "on": {300, filter.Reject}} {
		if p := b.Policies[name]; p.Greylist != want.greylist || p.Most != want.most {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRevision(t *testing.T) {
	one := read(t, files("base", "a.yaml", base)).Revision
	if again := read(t, files("elsewhere", "a.yaml", base)).Revision; again != one {
		t.Error("the same rules have two revisions")
	}
	if other := read(t, files("base", "a.yaml", base+"\n# x\n")).Revision; other == one {
		t.Error("different files have the same revision")
	}
}

func TestCompositesStandAfterTheirParts(t *testing.T) {
	b := read(t, files("c", "c.yaml", `symbols: {AA: {describe: a}}
composites:
  - {id: CA, describe: c, when: CB or CC}
  - {id: CB, describe: c, when: CC and AA}
  - {id: CC, describe: c, when: not AA}
`))
	var order []string
	for _, c := range b.Composites {
		order = append(order, c.ID)
	}
	if got := strings.Join(order, " "); got != "CC CB CA" {
		t.Error(got)
	}
	if diff := cmp.Diff([]string{"CB", "CC"}, b.Used["AA"]); diff != "" {
		t.Error(diff)
	}
}

// TestErrors gives one wrong thing a file and wants it named with its place.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"unknown section":       {"symbls: {}", `f.yaml:1:1: unknown key "symbls"; did you mean "symbols"?`},
		"unknown key":           {"symbols:\n  AA: {scoer: 1, describe: x}", `f.yaml:2:8: unknown key "scoer"; did you mean "score"?`},
		"symbol name":           {"symbols: {spf: {describe: x}}", `"spf" cannot name a symbol`},
		"three places":          {"symbols: {AA: {score: 1.234, describe: x}}", `f.yaml:1:23: expected a decimal number with at most two places, such as 1.5, found "1.234"`},
		"exponent":              {"symbols: {AA: {score: 1e1, describe: x}}", `expected a decimal number`},
		"hex":                   {"symbols: {AA: {score: 0x10, describe: x}}", `expected a decimal number`},
		"octal":                 {"symbols: {AA: {score: 010, describe: x}}", `expected a decimal number`},
		"underscore":            {"symbols: {AA: {score: 1_0, describe: x}}", `expected a decimal number`},
		"infinite":              {"symbols: {AA: {score: .inf, describe: x}}", `f.yaml:1:23: expected`},
		"word":                  {"symbols: {AA: {score: high, describe: x}}", `expected a decimal number`},
		"comma":                 {"symbols: {AA: {score: '1,5', describe: x}}", `expected a decimal number`},
		"too large":             {"symbols: {AA: {score: 100.01, describe: x}}", `100.01 is outside -100 to 100`},
		"too small":             {"symbols: {AA: {score: -101, describe: x}}", `-101 is outside`},
		"score list":            {"symbols: {AA: {score: [1], describe: x}}", `expected one value, found a list`},
		"no value":              {"symbols: {AA: {score: , describe: x}}", `score has no value`},
		"empty symbol":          {"symbols:\n  AA:\n", `AA has no value`},
		"action":                {"symbols: {AA: {action: drop, describe: x}}", `f.yaml:1:24: expected one of accept, tag, quarantine, defer, reject; found "drop"`},
		"policy's action":       {"symbols: {VIRUS: {action: tag, describe: x}}", `the action of VIRUS is set by each policy's antivirus.infected`},
		"quiet with a score":    {"patterns: [{id: AA, describe: x, in: body, match: a, quiet: true, score: 1}]", `f.yaml:1:17: AA is quiet and has a score or an action; what counts is said`},
		"quiet with an action":  {"composites: [{id: BB, describe: x, when: VIRUS, quiet: true, action: tag}]\nsymbols: {VIRUS: {describe: v}}", `BB is quiet and has a score or an action`},
		"quiet symbol of check": {"symbols: {AA: {quiet: true, describe: x}}", `unknown key "quiet"`},
		"quiet without value":   {"patterns: [{id: AA, describe: x, in: body, match: a, quiet: }]", `quiet has no value`},
		"stage":                 {"symbols: {AA: {action: tag, stage: data, describe: x}}", `expected rcpt; found "data"`},
		"stage alone":           {"symbols: {AA: {score: 1, stage: rcpt, describe: x}}", `stage: rcpt without an action`},
		"unless":                {"symbols: {AA: {unless: AB, describe: x}, AC: {describe: x}}", `f.yaml:1:24: no rule names the symbol "AB"; did you mean "AA"?`},
		"unless list":           {"symbols:\n  AA: {describe: x}\n  AB: {unless: [AA, AC], describe: x}", `f.yaml:3:21: no rule names the symbol "AC"; did you mean "AA"?`},
		"unless keys":           {"symbols: {AA: {unless: {AB: 1}, describe: x}}", `f.yaml:1:24: expected text, found keys and values`},
		"no describe":           {"symbols: {AA: {score: 1}}", `AA has no "describe"`},
		"empty describe":        {"symbols: {AA: {describe: ''}}", `the sentence is empty`},
		"long describe":         {"symbols: {AA: {describe: " + strings.Repeat("x", 201) + "}}", `has 201 bytes; at most 200`},
		"describe of lines":     {"symbols: {AA: {describe: \"a\\r\\nb\"}}", `line break or control character`},
		"no id":                 {"patterns: [{in: body, match: x, describe: x}]", `has no id`},
		"no match":              {"patterns: [{id: AA, in: body, describe: x}]", `AA has no "match"`},
		"no in":                 {"patterns: [{id: AA, match: x, describe: x}]", `AA has no "in"`},
		"times":                 {"patterns: [{id: AA, in: body, match: x, describe: x, times: 0}]", "expected 1 to 100; found 0"},
		"in":                    {"patterns: [{id: AA, in: boddy, match: x, describe: x}]", `expected one of subject, from, header:NAME, fields:NAME`},
		"in header":             {"patterns: [{id: AA, in: 'header:', match: x, describe: x}]", `is no name of a header field`},
		"in header NAME":        {"patterns: [{id: AA, in: 'header:a b', match: x, describe: x}]", `"a b" is no name`},
		"regex":                 {"patterns:\n  - {id: AA, in: body, match: '(', describe: x}", "f.yaml:2:31: does not compile: missing closing ): `(`"},
		"lookahead":             {"patterns: [{id: AA, in: body, match: '(?=x)', describe: x}]", "invalid or unsupported Perl syntax"},
		"repeats (H-J07)":       {"patterns: [{id: AA, in: body, match: '((a{100}){100}){100}', describe: x}]", "does not compile: invalid repeat count"},
		"empty match":           {"patterns: [{id: AA, in: body, match: 'a*', describe: x}]", "matches the empty text"},
		"huge match":            {"patterns: [{id: AA, in: body, match: '" + strings.Repeat("a", 9000) + "', describe: x}]", "at most 8192 are compiled"},
		"pattern stage":         {"patterns: [{id: AA, in: body, match: x, stage: rcpt, describe: x}]", `unknown key "stage"`},
		"pattern twice":         {"patterns:\n  - {id: AA, in: body, match: x, describe: x}\n  - {id: AA, in: body, match: y, describe: x}", `f.yaml:3:10: AA is written twice, first at f.yaml:2:10`},
		"symbol and pattern":    {"symbols: {AA: {describe: x}}\npatterns: [{id: AA, in: body, match: x, describe: x}]", `AA is a check's symbol already, at f.yaml:1`},
		"pattern and composite": {"patterns: [{id: AA, in: body, match: x, describe: x}]\ncomposites: [{id: AA, when: BB, describe: x}]", `AA is a pattern's symbol already`},
		"no when":               {"composites: [{id: AA, describe: x}]", `AA has no "when"`},
		"when":                  {"composites: [{id: AA, when: BB and, describe: x}]", `at character 7: ends where a symbol was expected`},
		"when unknown":          {"symbols: {SPF_FAIL: {describe: x}}\ncomposites:\n  - {id: AA, when: SPF_FIAL, describe: x}", `f.yaml:3:20: no rule names the symbol "SPF_FIAL"; did you mean "SPF_FAIL"?`},
		"circle":                {"composites:\n  - {id: AA, when: BB, describe: x}\n  - {id: BB, when: not CC, describe: x}\n  - {id: CC, when: AA, describe: x}", `composites depend on each other in a circle: AA -> BB -> CC -> AA`},
		"own circle":            {"composites: [{id: AA, when: not AA, describe: x}]", `in a circle: AA -> AA`},
		"policy name":           {"policies: {a b: {tag: 1}}", `"a b" cannot name a policy`},
		"extends":               {"policies:\n  sales: {extends: defolt}", `f.yaml:2:20: no policy is called "defolt"`},
		"policy circle":         {"policies:\n  aa: {extends: bb}\n  bb: {extends: aa}", `policies extend each other in a circle: aa -> bb -> aa`},
		"policy extends self":   {"policies: {aa: {extends: aa}}", `in a circle: aa -> aa`},
		"threshold":             {"policies: {aa: {tag: 0}}", `a threshold is above 0`},
		"greylist zero":         {"policies: {aa: {greylist: 0}}", `f.yaml:1:27: a threshold is above 0; off asks nobody to come again`},
		"greylist word":         {"policies: {aa: {greylist: never}}", `expected a decimal number`},
		"most":                  {"policies: {aa: {most: hold}}", `expected one of accept, tag, quarantine, defer, reject; found "hold"`},
		"infected":              {"policies: {aa: {antivirus: {infected: delete}}}", `expected one of reject, quarantine, strip, tag; found "delete"`},
		"scan":                  {"policies: {aa: {antivirus: {scan: yes}}}", `f.yaml:1:35: expected true or false, found "yes"`},
		"dmarc":                 {"policies: {aa: {dmarc: {reject: tag}}}", `expected one of honour, hold, ignore; found "tag"`},
		"on_list":               {"policies: {aa: {dmarc: {on_list: ignore}}}", `expected one of hold, tag; found "ignore"`},
		"unscannable":           {"policies: {aa: {unscannable: defer}}", `expected one of accept, tag, quarantine, reject`},
		"keep_days":             {"policies: {aa: {keep_days: 0}}", `expected 1 to 3650 days, found 0`},
		"keep_days half":        {"policies: {aa: {keep_days: 1.5}}", `expected a whole number`},
		"policy of recipient":   {"recipients:\n  \"*\": sales", `f.yaml:2:8: no policy is called "sales"`},
		"recipient":             {"recipients: {'a b@example.com': default}", `is no address, no name@*, no *@domain and not *`},
		"recipient domain":      {"recipients: {'*@exa mple': default}", `is no address`},
		"recipient local":       {"recipients: {'ann': default}", `"ann" is no address`},
		"recipient everywhere":  {"recipients: {'a b@*': default}", `is no address, no name@*`},
		"anybody anywhere":      {"recipients: {'*@*': default}", `is no address`},
		"same name":             {"recipients: {Abuse@*: default, abuse@*: default}", `abuse@* is written twice`},
		"account":               {"accounts: {ann: nobody}", `no policy is called "nobody"`},
		"same recipient":        {"recipients: {a@example.com: default, A@EXAMPLE.com: default}", `a@example.com is written twice`},
		"tab":                   {"symbols:\n\tAA: x", `f.yaml:2:1: `},
		"second document":       {"symbols: {}\n---\nsymbols: {}", `f.yaml:3:`},
		"half written":          {"symbols:\n  AA: {score: 1, describe: 'half", `f.yaml:2:`},
		"cut in a key":          {"symbols: {AA: {score: 1, desc", `f.yaml:1:`},
		"alias bomb":            {"a: &a [x,x]\nb: &b [*a,*a]\nsymbols: *b", `f.yaml:`},
		"scalar":                {"nothing here", `f.yaml:1:1: expected keys and values`},
		"list":                  {"- a", `f.yaml:1:`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := book.Read(files("", "f.yaml", c.src))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestErrorsOfAllFilesAtOnce(t *testing.T) {
	_, err := book.Read(files("base", "a.yaml", base), files("mine",
		"b.yaml", "symbols:\n  AA: {score: 1.234, describe: x}\n  BB: {score: 1}\n",
		"a.yaml", "policies: {sales: {reject: none}}\nrecipients: {\"*\": nobody}\n",
		"c.yaml", "symbols: {BB: {describe: x}}\n",
		"old.yml", "", ".swp.yaml", "rubbish: ["))
	want := `mine/a.yaml:1:28: expected a decimal number with at most two places, such as 1.5, found "none"
mine/a.yaml:2:19: no policy is called "nobody"
mine/b.yaml:2:15: expected a decimal number with at most two places, such as 1.5, found "1.234"
mine/b.yaml:3:7: BB has no "describe": one plain sentence for people
mine/c.yaml:1:15: BB is written twice, first at mine/b.yaml:3:7
mine/old.yml: rule files end in .yaml, this one would be passed over`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestManyErrorsAreCapped(t *testing.T) {
	var b strings.Builder
	b.WriteString("symbols:\n")
	for i := range 80 {
		fmt.Fprintf(&b, "  A%d: {score: x, describe: y}\n", i)
	}
	_, err := book.Read(files("", "f.yaml", b.String()))
	if err == nil || strings.Count(err.Error(), "\n") != strict.MaxErrors || !strings.HasSuffix(err.Error(), "and 30 more") {
		t.Errorf("%v", err)
	}
}

func TestFileTooLarge(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "big.yaml")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(100 << 20); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, err = book.Read(book.Layer{Name: dir, FS: os.DirFS(dir)})
	if err == nil || !strings.Contains(err.Error(), "big.yaml: the file has 104857600 bytes; at most 4194304 are read") {
		t.Error(err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	_, err := book.Read(book.Layer{Name: "d", FS: os.DirFS(dir)})
	for _, want := range []string{"d/folder.yaml: is no regular file", "d/link.yaml: cannot be read: no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	_, err = book.Read(book.Layer{Name: "gone", FS: os.DirFS(filepath.Join(dir, "gone"))})
	if err == nil || !strings.Contains(err.Error(), "gone: cannot be read: no such file") {
		t.Error(err)
	}
	_, err = book.Read(book.Layer{Name: "bad", FS: failing{}})
	if err == nil || !strings.Contains(err.Error(), "bad/a.yaml: cannot be read: input/output error") {
		t.Error(err)
	}
}

// failing is a disk whose files break when they are read.
type failing struct{}

func (failing) Open(name string) (fs.File, error) { return failingFile{name}, nil }
func (failing) ReadDir(string) ([]fs.DirEntry, error) {
	return []fs.DirEntry{fs.FileInfoToDirEntry(failingFile{"a.yaml"})}, nil
}

type failingFile struct{ name string }

func (f failingFile) Stat() (fs.FileInfo, error) { return f, nil }
func (f failingFile) Read([]byte) (int, error)   { return 0, errors.New("input/output error") }
func (f failingFile) Close() error               { return nil }
func (f failingFile) Name() string               { return f.name }
func (f failingFile) Size() int64                { return 10 }
func (f failingFile) Mode() fs.FileMode          { return 0o600 }
func (f failingFile) ModTime() time.Time         { return time.Time{} }
func (f failingFile) IsDir() bool                { return false }
func (f failingFile) Sys() any                   { return nil }

func TestNothingWritten(t *testing.T) {
	for _, src := range []string{"", "# only a comment\n", "\ufeffsymbols: {}\n", "symbols:\npatterns:\n", "---\nsymbols: {}\n"} {
		if _, err := book.Read(files("", "a.yaml", base), files("mine", "b.yaml", src)); err != nil {
			t.Errorf("%q: %v", src, err)
		}
	}
	b := read(t)
	if b.Policies["default"] == nil || !b.Policies["default"].Antivirus.Scan || b.Policies["default"].Reject != 1500 {
		t.Error("no rules at all leave no safe policy")
	}
}

// placed is an error with its file and, unless all of the file is meant, line and column.
var placed = regexp.MustCompile(`(?m)^(and \d+ more|m/f\.yaml(:\d+:\d+)?: .+)$`)

// TestMutatedFiles changes a good file in 200 ways: never a panic, and every error has a place.
func TestMutatedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	broken := 0
	for i := range 200 {
		src := mutate(r, []byte(base), i%8)
		_, err := book.Read(files("m", "f.yaml", string(src)))
		if err == nil {
			continue
		}
		broken++
		for line := range strings.SplitSeq(err.Error(), "\n") {
			if !placed.MatchString(line) {
				t.Errorf("mutation %d: %q has no place in:\n%s", i, line, src)
			}
		}
	}
	t.Logf("%d of 200 mutations were refused", broken)
	if broken < 100 {
		t.Error("the mutations hardly break anything")
	}
}

func mutate(r *rand.Rand, src []byte, how int) []byte {
	at := r.IntN(len(src))
	lines := strings.Split(string(src), "\n")
	n := r.IntN(len(lines) - 1)
	switch how {
	case 0: // cut off
		return src[:at]
	case 1: // a byte changed
		out := append([]byte{}, src...)
		out[at] = byte(r.IntN(256))
		return out
	case 2: // a byte left out
		return append(append([]byte{}, src[:at]...), src[at+1:]...)
	case 3: // punctuation put in
		return []byte(string(src[:at]) + string("{}[]:,'\"\t&*!|>%@`"[r.IntN(17)]) + string(src[at:]))
	case 4: // a line doubled
		lines = append(lines[:n+1], lines[n:]...)
	case 5: // a line moved in
		lines[n] = strings.Repeat(" ", 1+r.IntN(5)) + lines[n]
	case 6: // a line left out
		lines = append(lines[:n], lines[n+1:]...)
	default: // a word changed
		words := strings.Fields(lines[n] + " x")
		lines[n] = strings.Replace(lines[n], words[r.IntN(len(words))], "zzz: [1, {", 1)
	}
	return []byte(strings.Join(lines, "\n"))
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(base))
	for _, s := range []string{"symbols: {AA: {score: 1}}", "composites: [{id: AA, when: AA}]", "patterns: [{id: AA, in: body, match: '('}]", "? [a]\n: b", "&a a: *a", "a: !!binary x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		_, err := book.Read(files("m", "f.yaml", string(src)))
		if err == nil {
			return
		}
		var errs strict.Errors
		if !errors.As(err, &errs) || len(errs) == 0 {
			t.Fatalf("%T is no list of places", err)
		}
		for _, e := range errs {
			if e.File != "m/f.yaml" || e.Message == "" {
				t.Errorf("no place: %+v", e)
			}
		}
	})
}

func TestMapKey(t *testing.T) {
	for in, want := range map[string]string{
		"Ann@Example.COM": "ann@example.com", "*": "*", "*@Example.com": "*@example.com", "*@*.Bücher.example": "*@*.xn--bcher-kva.example",
		"ann@bücher.example": "ann@xn--bcher-kva.example", `"ann"@example.com`: "ann@example.com", "Ann": "ann",
		"Postmaster@*": "postmaster@*", `"Ann Lee"@*`: `"ann lee"@*`, `"ann"@*`: "ann@*",
	} {
		if got := book.MapKey(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
