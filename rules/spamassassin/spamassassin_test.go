package spamassassin_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"postern/internal/mailtest"
	"postern/rules/spamassassin"
)

func run(t *testing.T, src string, o spamassassin.Options) *spamassassin.Result {
	t.Helper()
	res, err := spamassassin.Import(fstest.MapFS{"10_one.cf": {Data: []byte(src)}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// symbols are those of an import that a mail raises, without the prefix.
func symbols(t *testing.T, src, mail string) string {
	t.Helper()
	set := loaded(t, run(t, src, spamassassin.Options{}))
	var out []string
	for s := range fired(t, set, []byte(mail)) {
		if name, ok := strings.CutPrefix(s, spamassassin.Prefix); ok && !strings.HasSuffix(name, "_P") && !strings.HasSuffix(name, "_E") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestWritten(t *testing.T) {
	res := run(t, `body ONE /it's (?:a|an) \w+/i
describe ONE It's one
score ONE 1.234 2 3 4
header TWO Subject =~ /two/
tflags TWO nice
meta THREE ONE && !TWO
header FOUR X-Four !~ /four/ [if-unset: four]
body __FIVE /five/
tflags __FIVE multiple maxhits=5
meta SIX __FIVE > 2
meta __SEVEN !SIX
`, spamassassin.Options{})
	want := `# Made of 10_one.cf by postern rules import spamassassin.
patterns:
  - id: SA_ONE
    describe: 'It''s one'
    in: paragraphs
    match: '(?i)it''s (?:a|an) \w+'
    score: 1.23
  - id: SA_TWO
    describe: 'SpamAssassin''s rule TWO'
    in: fields:subject
    match: 'two'
    score: -1.00
  - id: SA_FOUR_P
    describe: 'SpamAssassin''s rule FOUR'
    in: fields:x-four
    match: 'four'
    quiet: true
  - id: SA_FOUR_E
    describe: 'SpamAssassin''s rule FOUR'
    in: fields:x-four
    match: '(?s).'
    quiet: true
  - id: SA___FIVE
    describe: 'SpamAssassin''s rule __FIVE'
    in: paragraphs
    match: 'five'
    quiet: true
  - id: SA___FIVE_N2
    describe: 'SpamAssassin''s rule __FIVE'
    in: paragraphs
    match: 'five'
    times: 2
    quiet: true
  - id: SA___FIVE_N3
    describe: 'SpamAssassin''s rule __FIVE'
    in: paragraphs
    match: 'five'
    times: 3
    quiet: true
composites:
  - id: SA_THREE
    describe: 'SpamAssassin''s rule THREE'
    when: SA_ONE and not SA_TWO
    score: 1.00
  - id: SA_FOUR
    describe: 'SpamAssassin''s rule FOUR'
    when: SA_FOUR_E and not SA_FOUR_P
    score: 1.00
  - id: SA_SIX
    describe: 'SpamAssassin''s rule SIX'
    when: SA___FIVE and SA___FIVE_N2 and SA___FIVE_N3
    score: 1.00
  - id: SA___SEVEN
    describe: 'SpamAssassin''s rule __SEVEN'
    when: not SA_SIX
    quiet: true
`
	if got := string(res.Files["spamassassin-10_one.yaml"]); got != want || len(res.Files) != 1 {
		t.Errorf("%s", got)
	}
	if r := res.Report; r.Rounded != 1 || r.Patterns != 7 || r.Composed != 4 || len(r.Taken) != 7 {
		t.Errorf("%+v", r)
	}
	loaded(t, res)
}

// TestPartsAreQuiet: of an import a verdict says the rules that score, and knows the others.
func TestPartsAreQuiet(t *testing.T) {
	res := run(t, `body __BUY /buy/i
tflags __BUY multiple
body __PILLS /pills/i
body FREE /nothing like it/
score FREE 0.001
header NO_PRECEDENCE Precedence !~ /bulk/ [if-unset: none]
meta __BOTH __BUY && __PILLS
meta SELLS __BOTH && NO_PRECEDENCE
meta NOT_MANY __BUY > 0 && !(__BUY > 1)
`, spamassassin.Options{})
	set := asWritten(t, res.Files)
	var said []string
	for s := range fired(t, set, []byte(mail)) {
		if strings.HasPrefix(s, spamassassin.Prefix) {
			said = append(said, s)
		}
	}
	slices.Sort(said)
	if want := []string{"SA_NOT_MANY", "SA_NO_PRECEDENCE", "SA_SELLS"}; !slices.Equal(said, want) {
		t.Errorf("%v is said, want %v", said, want)
	}
	for name, quiet := range map[string]bool{"SA___BUY": true, "SA___BUY_N2": true, "SA___BOTH": true, "SA_NO_PRECEDENCE_P": true, "SA_NO_PRECEDENCE": false, "SA_SELLS": false, "SA_FREE": false} {
		if s, ok := set.Symbol(name); !ok || s.Quiet != quiet {
			t.Errorf("%s: there %v, quiet %v", name, ok, s.Quiet)
		}
	}
}

const mail = `Received: from a.example
Received: from b.example
From: "Win Now" <win@spam.example>
To: one@c.example
Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=
X-Empty:
Content-Type: text/html; charset=utf-8

<p>Buy <b>cheap</b>
pills now &ndash; cheap cheap</p> <a href="http://x.example/a">here</a>
`

// TestFires: what an imported rule makes of a mail is what SpamAssassin makes of it.
func TestFires(t *testing.T) {
	names, wants := map[string]string{}, map[string]bool{}
	var src strings.Builder
	for rule, want := range map[string]bool{
		"header A From:addr =~ /^win@spam\\.example$/":             true,
		"header A From:name =~ /^Win Now$/":                        true,
		"header A From =~ /win@/":                                  true,
		"header A Subject =~ /Gr\\xc3\\xbc/":                       true,
		"header A Subject:raw =~ /=\\?utf-8/i":                     true,
		"header A Subject =~ /=\\?/":                               false,
		"header A Subject !~ /x/":                                  true,
		"header A X-None !~ /x/":                                   true,
		"header A X-None =~ /^UNSET$/ [if-unset: UNSET]":           true,
		"header A Subject =~ /^UNSET$/ [if-unset: UNSET]":          false,
		"header A X-None !~ /no/ [if-unset: no]":                   false,
		"header A X-Empty =~ /^\\s*$/":                             true,
		"header A Subject =~ /^$/":                                 false,
		"header A X-None =~ /^$/":                                  true,
		"header A X-None !~ /^$/":                                  false,
		"header A exists:X-Empty":                                  true,
		"header A exists:X-None":                                   false,
		"header A Received =~ /a\\.example\\nfrom b/":              true,
		"header A ALL =~ /^To: one/m":                              true,
		"header A ALL:raw =~ /^Subject: =\\?utf-8/m":               true,
		"header A ToCc =~ /one@c/":                                 true,
		"header A MESSAGEID =~ /./":                                false,
		"mimeheader A Content-Type =~ /text.html/":                 true,
		"body A /cheap pills/":                                     true,
		"body A /^Gr\\xc3\\xbc\\xc3\\x9fe$/":                       true,
		"body A /<b>/":                                             false,
		"rawbody A /<b>cheap<.b>\\npills/":                         true,
		"uri A m{^http://x\\.example/}":                            true,
		"uri A /^mailto:x@/":                                       false,
		"header A exists:ToCc":                                     true,
		"uri A /^here/":                                            false,
		"full A /spam\\.example>\\nTo: one/":                       true,
		"body __B /cheap/\ntflags __B multiple\nmeta A __B > 2":    true,
		"body __B /cheap/\ntflags __B multiple\nmeta A __B > 3":    false,
		"body __B /cheap/\nbody __C /nope/\nmeta A __B + !__C > 1": true,
		"replace_tag P [p9]\nreplace_inter W \\W?\nreplace_rules A\nbody A /<inter W><P>i<P>?lls/": true,
	} {
		name := fmt.Sprintf("R%d", len(names))
		names[name] = rule
		wants[name] = want
		for _, part := range []string{"A", "__B", "__C"} {
			rule = strings.ReplaceAll(" "+strings.ReplaceAll(rule, "\n", "\n "), " "+part+" ", " "+part+name+" ")
			rule = strings.ReplaceAll(rule, " "+part+"\n", " "+part+name+"\n")
			rule = strings.ReplaceAll(rule, "!"+part+" ", "!"+part+name+" ")
		}
		src.WriteString(rule + "\n")
	}
	got := " " + symbols(t, src.String(), mail) + " "
	for name, want := range wants {
		if strings.Contains(got, " A"+name+" ") != want {
			t.Errorf("%s: not %v", names[name], want)
		}
	}
}

func TestRefusesWithPlace(t *testing.T) {
	for src, want := range map[string]string{
		"body A eval:check_it('1')":                      "calls the Perl function check_it",
		"header A X-Spam-Relays-Untrusted =~ /x/":        "what SpamAssassin itself says",
		"header A From:domain =~ /x/":                    "has no like here",
		"header A To:addr:first =~ /x/":                  "has no like here",
		"header A what is this":                          "is no test of a field",
		"header A exists:a b":                            "is no field",
		"body A x":                                       "is no expression",
		"body A /x":                                      "no end",
		"body A /x/q":                                    "stands behind",
		"body A /x*/":                                    "matches the empty text",
		"header A To =~ /x*/":                            "matches the empty text",
		`body A /(a)\1/`:                                 "refers back",
		"mimeheader A X:raw =~ /x/":                      "takes :raw of a part's field",
		"uri_detail A text =~ /x/":                       "has no like here",
		"body __B eval:x()\nmeta A !__B":                 "could not be taken",
		"meta A B\nmeta B A":                             "depends on itself",
		"body A /a/\nbody a /b/":                         "by capitals alone",
		"body A" + strings.Repeat("B", 70) + " /a/":      "too long",
		"ifplugin Odd\nbody A /a/\nendif":                "needs the plugin Odd",
		"body A /(?:" + strings.Repeat("x", 9000) + ")/": "at most 8192",
		"body __L /x/\nmeta A __L" + strings.Repeat(" && __L", 600): "at most 4096",
	} {
		refused := run(t, src+"\n", spamassassin.Options{}).Report.Refused
		if !slices.ContainsFunc(refused, func(e spamassassin.Entry) bool {
			return strings.Contains(e.Reason, want) && e.File == "10_one.cf" && e.Line > 0 && e.Rule != ""
		}) {
			t.Errorf("%.60s: %v, want %s", src, refused, want)
		}
	}
}

func TestOff(t *testing.T) {
	src := `body A /a/
score A 0 1 1 1
body B /b/
tflags B net
body C /c/
tflags C learn
meta D A || B
meta E A || F
body F /f/
meta G 0
`
	for column, want := range map[int]string{0: "A: scores 0, B: asks the network, C: is of what was learned or configured, D: never fires, G: never fires",
		1: "B: asks the network, C: is of what was learned or configured, G: never fires"} {
		res := run(t, src, spamassassin.Options{Column: column})
		var got []string
		for _, e := range res.Report.Off {
			got = append(got, e.Rule+": "+e.Reason)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("column %d: %v", column, got)
		}
		loaded(t, res)
	}
}

func TestNotes(t *testing.T) {
	res := run(t, "body A /a++b/\nbody __X eval:x()\nbody __Y /y/\nmeta B __X || __Y\nbody C /c/\ntflags C nosubject\nfull D /d/\nwhat ever\n", spamassassin.Options{})
	var got []string
	for _, e := range res.Report.Differ {
		got = append(got, fmt.Sprint(e.Rule, e.Notes))
	}
	want := "A[a possessive quantifier is an ordinary one] B[fires less often, without __X] C[the subject is searched too] D[the first megabyte of the message is searched]"
	if strings.Join(got, " ") != want {
		t.Errorf("%v", got)
	}
	if p := res.Report.Passed; len(p) != 1 || p[0].Directive != "what" || p[0].Line != 8 {
		t.Errorf("%v", p)
	}
	kinds := fmt.Sprint(res.Report.Kinds())
	if kinds != "[{body 1 2 1 0} {full 0 1 0 0} {meta 0 1 0 0} { 1 4 1 0}]" {
		t.Error(kinds)
	}
}

func TestSentences(t *testing.T) {
	res := run(t, "body A /a/\ndescribe A "+strings.Repeat("é", 150)+"\x01'\nbody B /b/\nlang de describe B Deutsch\nscore B 1000\n", spamassassin.Options{Lang: "de"})
	loaded(t, res)
	text := string(res.Files["spamassassin-10_one.yaml"])
	if !strings.Contains(text, "describe: 'Deutsch'\n") || !strings.Contains(text, "ééé...'\n") || !strings.Contains(text, "score: 100.00") {
		t.Error(text)
	}
}

// TestSuites imports the rule sets that are kept: most is taken, it loads, twice the same.
func TestSuites(t *testing.T) {
	for name, least := range map[string]float64{"spamassassin-4.0.1": 0.6, "kam": 0.9} {
		dir := os.DirFS(mailtest.Suites(t, "rules/"+name))
		res, err := spamassassin.Import(dir, spamassassin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := spamassassin.Import(dir, spamassassin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range res.Files {
			if !bytes.Equal(text, again.Files[file]) {
				t.Errorf("%s is not the same twice", file)
			}
		}
		loaded(t, res)
		kinds := res.Report.Kinds()
		all := kinds[len(kinds)-1]
		if share := float64(all.Taken+all.Differ) / float64(all.Taken+all.Differ+all.Refused); share < least {
			t.Errorf("%s: %.2f taken: %v", name, share, kinds)
		}
		t.Logf("%s: %v, %d lines not understood", name, kinds, len(res.Report.Odd))
	}
}
