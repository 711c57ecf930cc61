package cf_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"postern/rules/spamassassin/cf"
)

func read(t *testing.T, src string) *cf.Conf {
	t.Helper()
	c, err := cf.Read(fstest.MapFS{"a.cf": {Data: []byte(src)}, "b.pre": {Data: []byte("body NOT_READ /x/")}}, "en")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRules(t *testing.T) {
	c := read(t, `# a comment
body  ONE  /one \# two/i   # and another
	score ONE 1.5
describe ONE What one says
lang de describe ONE Was eins sagt
lang en describe TWO English
lang en_GB describe TWO British
tflags ONE multiple maxhits=3
score FOUR 1 2 3 4
score FOUR (0.5)
score NEW (1)
replace_tag A [a4]
replace_inter W1 \W?
replace_rules ONE TWO
whitelist_from a@b.c
whitelist_from d@e.f
header TWO Subject =~ /x/
header TWO Subject =~ /y/
`)
	if r := c.Rules["ONE"]; r == nil || r.Kind != "body" || r.Test != "/one # two/i" || r.Place != (cf.Place{File: "a.cf", Line: 2}) || r.Place.String() != "a.cf:2" {
		t.Errorf("%+v", r)
	}
	if c.Rules["TWO"].Test != "Subject =~ /y/" || c.Describe["ONE"] != "What one says" || c.Describe["TWO"] != "British" {
		t.Error(c.Rules["TWO"], c.Describe)
	}
	if c.Scores["ONE"] != [4]float64{1.5, 1.5, 1.5, 1.5} || c.Scores["FOUR"] != [4]float64{1.5, 2.5, 3.5, 4.5} || c.Scores["NEW"][0] != 2 {
		t.Error(c.Scores)
	}
	if fmt.Sprint(c.Flags["ONE"]) != "[multiple maxhits=3]" || c.Tags["A"] != "[a4]" || c.Tags["inter W1"] != `\W?` || !c.Replaced["TWO"] {
		t.Error(c.Flags, c.Tags, c.Replaced)
	}
	if u := c.Other["whitelist_from"]; u.Count != 2 || u.First.Line != 15 || len(c.Rules) != 2 || len(c.Odd) > 0 {
		t.Error(u, c.Rules, c.Odd)
	}
}

func TestConditions(t *testing.T) {
	for condition, want := range map[string]bool{
		"if version >= 3.004000": true, "if (version < 3.4)": false, "if version == 4.000001 && perl_version > 5.010": true, "if version != 4.000001": false,
		"if !(version <= 3)": true, "if (version > 9 || version >= 4)": true, "if 0": false, "if 1": true, "if local_tests_only": true,
		"if can(Mail::SpamAssassin::Conf::feature_bug6558_free)": true, "if can(Mail::SpamAssassin::Conf::perl_min_version_5010000)": true,
		"if !can(Mail::SpamAssassin::Conf::feature_x)": false, "if can(Mail::SpamAssassin::Conf::compat_welcomelist_blocklist)": false,
		"if can(Mail::SpamAssassin::Plugin::BodyEval::has_check_body_length)": true, "if can(Mail::SpamAssassin::Plugin::Odd::has_x)": false,
		"if has(Something)": false, "if plugin(Mail::SpamAssassin::Plugin::ReplaceTags)": true, "if plugin (Mail::SpamAssassin::Plugin::Odd)": false,
		"ifplugin Mail::SpamAssassin::Plugin::MIMEHeader": true, "ifplugin Mail::SpamAssassin::Plugin::Odd": false, "if not plugin(Odd) and 1": true,
	} {
		c := read(t, condition+"\nbody YES /x/\nelse\nbody NO /x/\nendif\nbody AFTER /x/\n")
		if (c.Rules["YES"] != nil) != want || (c.Rules["NO"] != nil) == want || c.Rules["AFTER"] == nil || len(c.Odd) > 0 {
			t.Errorf("%s: %v %v", condition, c.Rules, c.Odd)
		}
	}
}

func TestNestedConditions(t *testing.T) {
	c := read(t, `if version > 9
  if version > 3
    body A /x/
  else
    body B /x/
  endif
else
  ifplugin Odd
    body C /x/
    score C 3
  endif
  if !plugin(Odd)
    body D /x/
  else
    body E /x/
    header D Subject =~ /x/
  endif
endif
`)
	if len(c.Rules) != 1 || c.Rules["D"].Kind != "body" || len(c.Lacking) != 2 {
		t.Errorf("%v %v", c.Rules, c.Lacking)
	}
	for _, name := range []string{"C", "E"} {
		if r := c.Lacking[name]; r == nil || r.Skipped != "needs the plugin Odd" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, scored := c.Scores["C"]; scored {
		t.Error("a score in a block that does not count")
	}
}

func TestOdd(t *testing.T) {
	for src, want := range map[string]string{
		"body 1X /x/": "cannot name a rule", "body A-B /x/": "cannot name", "meta ONE": "says nothing", "score ONE 1 2": "one number or four", "score ONE x": "is no score",
		"score ONE NaN": "is no score", "else": "without a condition", "endif": "without a condition", "if 1": "ends inside a condition", "if what\nendif": "is not known",
		"if (1\nendif": "not closed", "if 1 2\nendif": "was not expected", "if version\nendif": "compared with a number", "if can x\nendif": "without a parenthesis",
		"if can(x\nendif": "asks for no name", "if " + strings.Repeat("(", 100) + "\nendif": "nested deeper", "score ONE 1e9": "is no score",
	} {
		c := read(t, src+"\n")
		if len(c.Odd) == 0 || !strings.Contains(c.Odd[0].Reason, want) || c.Odd[0].Place.File != "a.cf" {
			t.Errorf("%.40s: %v, want %s", src, c.Odd, want)
		}
	}
	c := read(t, "if what\nbody A /x/\nelse\nbody B /x/\nendif\n")
	if len(c.Rules) != 0 || len(c.Lacking) != 2 {
		t.Error("what was not understood counts", c.Rules, c.Lacking)
	}
}

func TestBounds(t *testing.T) {
	if _, err := cf.Read(fstest.MapFS{"a.cf": {Data: make([]byte, cf.MaxFile+1)}}, "en"); err == nil || !strings.Contains(err.Error(), "a.cf") {
		t.Error(err)
	}
	many := fstest.MapFS{}
	for i := range cf.MaxFiles + 1 {
		many[fmt.Sprintf("%d.cf", i)] = &fstest.MapFile{}
	}
	if _, err := cf.Read(many, "en"); err == nil || !strings.Contains(err.Error(), "files") {
		t.Error(err)
	}
	var b strings.Builder
	for i := range cf.MaxRules + 1 {
		fmt.Fprintf(&b, "body R%d /x/\n", i)
	}
	if _, err := cf.Read(fstest.MapFS{"a.cf": {Data: []byte(b.String())}}, "en"); err == nil || !strings.Contains(err.Error(), "rules") {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("if (version >= 3)\nheader A exists:B\nelse\nscore A (1) 2 3 4\nendif\nlang de\n#\\#"))
	f.Add([]byte("ifplugin X\nreplace_tag A\nmeta \xff 1\nscore\n"))
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := cf.Read(fstest.MapFS{"a.cf": {Data: src}}, "en")
		if err != nil {
			t.Fatal(err)
		}
		for name, r := range c.Rules {
			if r.Name != name || r.Test == "" || r.Place.Line < 1 {
				t.Errorf("%+v", r)
			}
		}
	})
}
