package keys_test

import (
	"slices"
	"strings"
	"testing"

	"postern/cmd/postern/rulecalls/keys"
)

const text = `# rules
symbols:
  SPF_FAIL: {score: 1.5, describe: "a: b, c", unless: [ONE, TWO]}
  OWN_BLOCK:
    action: reject

patterns:
  - id: A
    match: 'x: {y'
    tests: {hit: ["one"], miss: ["two"]}
  - describe: B
policies:
  sales:
    antivirus:
      infected: strip
recipients:
  "*@example.com": default
`

func TestPathAt(t *testing.T) {
	for _, c := range []struct {
		after string // the caret stands behind this
		want  string
	}{
		{"symbols:", "symbols"}, {"SPF_FAIL: {sco", "symbols.SPF_FAIL.score"}, {"SPF_FAIL: {score: 1.5, ", "symbols.SPF_FAIL"}, {"describe: \"a: b, c", "symbols.SPF_FAIL.describe"},
		{"unless: [ONE, T", "symbols.SPF_FAIL.unless[]"}, {"TWO]", "symbols.SPF_FAIL.unless"}, {"OWN_BLOCK:\n    ac", "symbols.OWN_BLOCK.action"}, {"action: reject\n", "symbols.OWN_BLOCK"},
		{"- id: A", "patterns[].id"}, {"match: 'x: {y", "patterns[].match"}, {"hit: [\"one", "patterns[].tests.hit[]"}, {"hit: [\"one\"], miss: ", "patterns[].tests.miss"}, {"describe: B", "patterns[].describe"},
		{"infected: strip", "policies.sales.antivirus.infected"}, {"\"*@example.com\": def", "recipients.*@example.com"},
	} {
		end := strings.Index(text, c.after) + len(c.after)
		line := strings.Count(text[:end], "\n") + 1
		column := end - strings.LastIndexByte(text[:end], '\n')
		if c.after == "action: reject\n" {
			column = 0
		}
		closing := c.after == "action: reject\n" // where the last line ends nothing need be known
		if got := keys.PathAt(text, line, column); got != c.want && (!closing || got != "") {
			t.Errorf("behind %q: %q, want %q", c.after, got, c.want)
		}
	}
}

func names(all []keys.Entry) (out []string) {
	for _, k := range all {
		out = append(out, k.Path)
	}
	return out
}

func TestFind(t *testing.T) {
	all, err := keys.Of("rules")
	if err != nil {
		t.Fatal(err)
	}
	key, under := keys.Find(all, "patterns[].in")
	if key == nil || key.Path != "patterns[].in" || !slices.Contains(key.Values, "subject") || !slices.Contains(names(under), "patterns[].match") {
		t.Errorf("%v %v", key, names(under))
	}
	if key, under = keys.Find(all, ""); key != nil || !slices.Equal(names(under), []string{"symbols", "patterns", "composites", "policies", "recipients", "accounts"}) {
		t.Errorf("%v %v", key, names(under))
	}
	if key, under = keys.Find(all, "symbols.SPF_FAIL"); key == nil || !slices.Contains(names(under), "symbols.*.score") {
		t.Errorf("%v %v", key, names(under))
	}
	if key, _ = keys.Find(all, "recipients.*@example.com"); key == nil || key.Path != "recipients.*" {
		t.Errorf("%v", key)
	}
	if key, under = keys.Find(all, "policies.sales.antivirus.nonsense"); key != nil || !slices.Contains(names(under), "policies.*.antivirus.infected") {
		t.Errorf("%v %v", key, names(under))
	}
	if key, under = keys.Find(all, "nonsense"); key != nil || len(under) != 6 {
		t.Errorf("%v %v", key, names(under))
	}
}

func TestConfigKeysComeFromTheSchema(t *testing.T) {
	all, err := keys.Of("config")
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]keys.Entry{}
	for _, k := range all {
		by[k.Path] = k
	}
	if k := by["clamav.timeout"]; k.Type != "duration" {
		t.Errorf("%+v", k)
	}
	if k := by["listeners[].kind"]; !slices.Contains(k.Values, "smarthost") {
		t.Errorf("%+v", k)
	}
	if k := by["routes.*.backend"]; k.Path == "" || by["routes"].Type != "keys" || by["limits.message"].Type != "size" {
		t.Errorf("%+v %+v", k, by["routes"])
	}
	if _, err := keys.Of("nothing"); err == nil {
		t.Error("keys of nothing")
	}
}

func TestEveryKeyIsDescribed(t *testing.T) {
	for _, kind := range []string{"rules", "calendar"} {
		all, _ := keys.Of(kind)
		seen := map[string]bool{}
		for _, k := range all {
			if k.Describe == "" || k.Example == "" || k.Type == "" || seen[k.Path] {
				t.Errorf("%+v", k)
			}
			seen[k.Path] = true
		}
	}
}

func FuzzPathAt(f *testing.F) {
	f.Add(text, 3, 10)
	f.Add("a: [{", 1, 9)
	f.Add("- - -\n-", 2, 1)
	f.Fuzz(func(t *testing.T, s string, line, column int) {
		if line < 1 {
			return
		}
		all, _ := keys.Of("rules")
		keys.Find(all, keys.PathAt(s, line, column))
	})
}
