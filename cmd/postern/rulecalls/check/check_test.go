package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/rulecalls/check"
	"postern/cmd/postern/setup"
	"postern/internal/config"
	"postern/internal/opfiles"
	"postern/rules"
)

// world is a checker over folders of its own.
type world struct {
	t   *testing.T
	dir string
	set *rules.Set
	cfg *config.Config
	*check.Checker
}

const conf = `hostname: mx1
listeners:
  - {name: mx, kind: inbound, addr: ":25"}
backends:
  mail: [{addr: "10.0.0.1:25"}]
routes:
  example.com: {backend: mail}
`

const base = `symbols:
  HOUSE_SIGN: {score: 2, describe: A sign of the house}
patterns:
  - id: HOUSE_WORD
    describe: A word of the house
    in: subject
    match: 'house'
    score: 1.5
`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.put("rules.d/own.yaml", base)
	w.put("calendars/teams.yaml", "teams:\n  - {name: desk, calendar: china}\n")
	w.put("postern.yaml", conf+"rules: {dir: "+w.dir+"/rules.d}\n")
	var err error
	if w.cfg, err = config.Load(filepath.Join(w.dir, "postern.yaml")); err != nil {
		t.Fatal(err)
	}
	if w.set, err = setup.Rules(w.cfg.Rules.Dir); err != nil {
		t.Fatal(err)
	}
	w.Checker = &check.Checker{
		Shelf: &opfiles.Shelf{Folders: func() []opfiles.Folder {
			return []opfiles.Folder{
				{Kind: "rules", Dir: filepath.Join(w.dir, "rules.d")},
				{Kind: "config", Dir: w.dir, Only: "postern.yaml"},
				{Kind: "calendar", Dir: filepath.Join(w.dir, "calendars")},
			}
		}},
		Config:  func() *config.Config { return w.cfg },
		Started: func() *config.Config { return w.cfg },
		Rules:   func() *rules.Set { return w.set },
		Temp:    t.TempDir(),
		Now:     func() time.Time { return time.Date(2026, 12, 2, 9, 0, 0, 0, time.UTC) },
	}
	return w
}

func (w *world) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) check(id, text string, gone bool) check.Checked {
	w.t.Helper()
	c, err := w.Text(id, text, gone)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// wrong is a text with the one place at which something is wrong.
type wrong struct {
	name    string
	text    string
	line    int
	column  int
	message string
}

func (w *world) refuses(id string, all []wrong) {
	w.t.Helper()
	for _, c := range all {
		got := w.check(id, c.text, false)
		if got.OK || len(got.Problems) == 0 {
			w.t.Errorf("%s: nothing is wrong with it", c.name)
			continue
		}
		p := got.Problems[0]
		if p.File != id || !p.Here {
			w.t.Errorf("%s: said of %s", c.name, p.File)
		}
		if p.Line != c.line || p.Column != c.column {
			w.t.Errorf("%s: at %d:%d, not %d:%d: %s", c.name, p.Line, p.Column, c.line, c.column, p.Message)
		}
		if !strings.Contains(p.Message, c.message) {
			w.t.Errorf("%s: %q does not say %q", c.name, p.Message, c.message)
		}
	}
}

func TestWhatIsWrongWithRules(t *testing.T) {
	newWorld(t).refuses("rules/own.yaml", []wrong{
		{
			name:    "an unknown section",
			text:    "symbol:\n  A_B: {score: 1}\n",
			line:    1,
			column:  1,
			message: `did you mean "symbols"?`,
		},
		{
			name:    "an unknown key",
			text:    "symbols:\n  A_B: {scor: 1}\n",
			line:    2,
			column:  9,
			message: `did you mean "score"?`,
		},
		{
			name:    "a score that is no number",
			text:    "symbols:\n  A_B: {score: much}\n",
			line:    2,
			column:  16,
			message: "expected a decimal number",
		},
		{
			name:    "a score that is too exact",
			text:    "symbols:\n  A_B: {score: 1.234}\n",
			line:    2,
			column:  16,
			message: "at most two places",
		},
		{
			name:    "a score that is too large",
			text:    "symbols:\n  A_B: {score: 1000}\n",
			line:    2,
			column:  16,
			message: "outside -100 to 100",
		},
		{
			name:    "an action that there is not",
			text:    "symbols:\n  A_B:\n    action: burn\n",
			line:    3,
			column:  13,
			message: "expected one of",
		},
		{
			name:    "an action that policies set",
			text:    "symbols:\n  VIRUS: {action: reject}\n",
			line:    2,
			column:  19,
			message: "is set by each policy's",
		},
		{
			name:    "a name in small letters",
			text:    "symbols:\n  small: {score: 1}\n",
			line:    2,
			column:  10,
			message: "cannot name a symbol",
		},
		{
			name:    "a pattern without a name",
			text:    "patterns:\n  - in: subject\n    match: x\n",
			line:    2,
			column:  7,
			message: "has no id",
		},
		{
			name:    "an expression that does not compile",
			text:    "patterns:\n  - id: A_B\n    describe: x\n    in: subject\n    match: '(x'\n",
			line:    5,
			column:  12,
			message: "does not compile",
		},
		{
			name:    "an expression that matches everything",
			text:    "patterns:\n  - id: A_B\n    describe: x\n    in: subject\n    match: 'x*'\n",
			line:    5,
			column:  12,
			message: "matches the empty text",
		},
		{
			name:    "a place that there is not",
			text:    "patterns:\n  - id: A_B\n    describe: x\n    in: topic\n    match: 'x'\n",
			line:    4,
			column:  9,
			message: "expected one of subject",
		},
		{
			name:    "a test that should match",
			text:    "patterns:\n  - id: A_B\n    describe: x\n    in: subject\n    match: 'x'\n    tests: {hit: [\"y\"]}\n",
			line:    6,
			column:  19,
			message: "does not match this text, but should",
		},
		{
			name:    "a test that should not match",
			text:    "patterns:\n  - id: A_B\n    describe: x\n    in: subject\n    match: 'x'\n    tests:\n      miss: [\"x\"]\n",
			line:    7,
			column:  14,
			message: "matches this text, but should not",
		},
		{
			name:    "a condition that cannot be read",
			text:    "composites:\n  - id: A_B\n    describe: x\n    when: SPF_FAIL and\n",
			line:    4,
			column:  11,
			message: "",
		},
		{
			name:    "a policy that there is not",
			text:    "recipients:\n  a@example.com: nothing\n",
			line:    2,
			column:  18,
			message: "nothing",
		},
		{
			name:    "two keys of one name",
			text:    "symbols: {}\nsymbols: {}\n",
			line:    2,
			column:  1,
			message: "written twice",
		},
		{
			name:    "a tab",
			text:    "symbols:\n\tA_B: {score: 1}\n",
			line:    2,
			column:  1,
			message: "",
		},
		{
			name:    "an anchor",
			text:    "symbols:\n  A_B: &a {score: 1}\n",
			line:    2,
			column:  8,
			message: "anchors",
		},
	})
}

func TestWhatIsWrongWithTheConfiguration(t *testing.T) {
	newWorld(t).refuses("config/postern.yaml", []wrong{
		{
			name:    "an unknown key",
			text:    conf + "clamv: {}\n",
			line:    8,
			column:  1,
			message: `did you mean "clamav"?`,
		},
		{
			name:    "a size that cannot be read",
			text:    conf + "limits:\n  message: large\n",
			line:    9,
			column:  12,
			message: "",
		},
		{
			name:    "a word that there is not",
			text:    conf + "store: {home: cloud}\n",
			line:    8,
			column:  15,
			message: "",
		},
	})
}

func TestWhatIsWrongWithCalendars(t *testing.T) {
	newWorld(t).refuses("calendar/china.yaml", []wrong{
		{
			name:    "an unknown key",
			text:    "calendar: china\nzone: Asia/Shanghai\nyear: []\n",
			line:    3,
			column:  1,
			message: `did you mean "years"?`,
		},
		{
			name:    "a zone that there is not",
			text:    "calendar: china\nzone: Asia/Nowhere\nyears: []\n",
			line:    2,
			column:  7,
			message: "",
		},
		{
			name:    "a day that there is not",
			text:    "calendar: china\nzone: Asia/Shanghai\nyears:\n  - year: 2028\n    status: final\n    source: x\n    off:\n      - {day: 2028-02-31, name: x}\n",
			line:    8,
			column:  15,
			message: "",
		},
	})
}

func TestWhatRulesWouldChange(t *testing.T) {
	w := newWorld(t)
	text := `symbols:
  HOUSE_SIGN: {score: 2, action: quarantine, describe: A sign of the house}
  HOUSE_NEW: {action: reject, stage: rcpt, describe: Another sign}
`
	got := w.check("rules/own.yaml", text, false)
	want := []check.Worth{
		{Symbol: "HOUSE_SIGN", Before: "2.00", After: "2.00 quarantine"},
		{Symbol: "HOUSE_WORD", Before: "1.50"},
		{Symbol: "HOUSE_NEW", After: "0.00 reject at RCPT"},
	}
	if !got.OK || !slices.Equal(got.Changes, want) {
		t.Errorf("%+v %+v", got.Problems, got.Changes)
	}
	if got.Revision == w.set.Revision() || got.Revision == "" {
		t.Errorf("its revision is %q", got.Revision)
	}
	if got.Base != opfiles.Hash(base) || !got.Changed {
		t.Errorf("%+v", got)
	}
	same := w.check("rules/own.yaml", base, false)
	if same.Changed || len(same.Diff) != 0 || len(same.Changes) != 0 {
		t.Errorf("%+v", same)
	}
	if same.Revision != w.set.Revision() {
		t.Error("the same files have another revision")
	}
}

func TestAFileThatIsNew(t *testing.T) {
	w := newWorld(t)
	got := w.check("rules/more.yaml", "symbols:\n  HOUSE_NEW: {score: 1, describe: x}\n", false)
	if !got.OK || got.Base != "" || !got.Changed || len(got.Changes) != 1 {
		t.Errorf("%+v", got)
	}
	got = w.check("rules/more.yaml", "symbols:\n  HOUSE_SIGN: {score: 3, describe: x}\n", false)
	if got.OK || !strings.Contains(got.Problems[0].Message, "written twice, first at") {
		t.Errorf("what another file says already: %+v", got.Problems)
	}
}

func TestAFileThatGoes(t *testing.T) {
	w := newWorld(t)
	got := w.check("rules/own.yaml", "", true)
	if !got.OK || !got.Changed || len(got.Changes) != 2 || got.Changes[0].After != "" {
		t.Errorf("%+v", got)
	}
	w.put("rules.d/uses.yaml", "composites:\n  - {id: HOUSE_BOTH, describe: x, when: HOUSE_SIGN and HOUSE_WORD, score: 1}\n")
	got = w.check("rules/own.yaml", "", true)
	if got.OK || len(got.Problems) != 2 || got.Problems[0].File != "rules/uses.yaml" || got.Problems[0].Here {
		t.Errorf("what is used elsewhere may go: %+v", got)
	}
}

// What is wrong in another file is said of that one.
func TestAnotherFileIsWrong(t *testing.T) {
	w := newWorld(t)
	w.put("rules.d/other.yaml", "symbols:\n  A_B: {scor: 1}\n")
	got := w.check("rules/own.yaml", base, false)
	if got.OK || got.Problems[0].File != "rules/other.yaml" || got.Problems[0].Here {
		t.Errorf("%+v", got.Problems)
	}
	if said := got.Problems[0].String(); !strings.HasPrefix(said, "rules/other.yaml:2:9: ") {
		t.Errorf("%q", said)
	}
}

func TestManyProblemsAreBounded(t *testing.T) {
	w := newWorld(t)
	got := w.check("rules/own.yaml", strings.Repeat("# filler\n", 3)+"symbols:\n"+many(80), false)
	if len(got.Problems) != check.MaxProblems || got.More != 30 {
		t.Errorf("%d problems, %d more", len(got.Problems), got.More)
	}
	long := w.check("rules/own.yaml", strings.Repeat("# filler\n", opfiles.MaxText/9+1), false)
	if long.OK || !strings.Contains(long.Problems[0].Message, "longer") {
		t.Errorf("%+v", long.Problems)
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("  S" + string(rune('A'+i/26)) + string(rune('A'+i%26)) + ": {scor: 1}\n")
	}
	return b.String()
}

func TestTheConfigurationIsCheckedWithWhatStandsBesideIt(t *testing.T) {
	w := newWorld(t)
	got := w.check("config/postern.yaml", conf+"senders: {file: "+w.dir+"/nothing}\n", false)
	if got.OK || !strings.Contains(got.Problems[0].Message, "nothing") {
		t.Errorf("%+v", got.Problems)
	}
	got = w.check("config/postern.yaml", conf+"rules: {dir: "+w.dir+"/rules.d}\nlimits: {errors: 3}\n", false)
	if !got.OK || len(got.Restart) != 0 {
		t.Errorf("%+v", got)
	}
	got = w.check("config/postern.yaml", conf+"rules: {dir: "+w.dir+"/rules.d}\nstate: /srv/postern\ndesk: {addr: \"127.0.0.1:1\"}\n", false)
	if !got.OK || !slices.Equal(got.Restart, []string{"desk.addr", "state"}) {
		t.Errorf("%+v", got)
	}
	got = w.check("config/postern.yaml", conf+"lists:\n  - {name: x, zone: x.example, codes: {127.0.0.2: NOT_KNOWN}}\n", false)
	if !slices.ContainsFunc(got.Warnings, func(s string) bool { return strings.Contains(s, "NOT_KNOWN") }) {
		t.Errorf("%q", got.Warnings)
	}
}

func TestWhichDeadlinesACalendarWouldMove(t *testing.T) {
	w := newWorld(t)
	text := `calendar: china
zone: Asia/Shanghai
years:
  - year: 2026
    status: final
    source: here
    off:
      - {day: 2026-12-10, name: A day}
`
	got := w.check("calendar/china.yaml", text, false)
	if !got.OK || len(got.Due) == 0 {
		t.Fatalf("%+v", got)
	}
	for _, d := range got.Due {
		if d.Team != "desk" || d.Before.Equal(d.After) {
			t.Errorf("%+v", d)
		}
	}
	if first := got.Due[0]; !first.After.After(first.Before) {
		t.Errorf("a holiday more brings a deadline nearer: %+v", first)
	}
	if !slices.ContainsFunc(got.Warnings, func(s string) bool { return strings.Contains(s, "2027") }) {
		t.Errorf("in December nobody is told that the next year is not final: %q", got.Warnings)
	}
	if left, _ := os.ReadDir(w.Temp); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if gone := w.check("calendar/teams.yaml", "", true); !gone.OK {
		t.Errorf("%+v", gone)
	}
	lost := w.check("calendar/teams.yaml", "teams:\n  - {name: desk, calendar: nowhere}\n", false)
	if lost.OK || strings.Contains(lost.Problems[0].Message, w.Temp) {
		t.Errorf("%+v", lost.Problems)
	}
}

func TestTheSetWithAText(t *testing.T) {
	w := newWorld(t)
	set, err := w.Set("rules/own.yaml", "symbols:\n  HOUSE_NEW: {score: 1, describe: x}\n", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := set.Symbol("HOUSE_NEW"); !ok {
		t.Error("what the text says is not in the set")
	}
	if _, ok := set.Symbol("HOUSE_WORD"); ok {
		t.Error("what the text does not say any more is in the set")
	}
	if _, err := w.Set("config/postern.yaml", conf, false); err == nil {
		t.Error("rules of the configuration")
	}
	if _, err := w.Set("nothing/x.yaml", "", false); err == nil {
		t.Error("rules of nothing")
	}
}
