package rulecalls_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/home"
	"postern/cmd/postern/rulecalls"
	"postern/cmd/postern/rulecalls/check"
	"postern/cmd/postern/rulecalls/list"
	"postern/cmd/postern/setup"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/internal/spool"
	"postern/rules"
)

const own = `patterns:
  - id: HOLD_THIS
    describe: The subject asks to be held
    in: subject
    match: 'please hold'
    score: 8
    tests: {hit: ["please hold this"], miss: ["hello"]}
`

const conf = "hostname: mx1\nlisteners:\n  - {name: mx, kind: inbound, addr: \":25\"}\nbackends:\n  mail: [{addr: \"10.0.0.1:25\"}]\nroutes:\n  example.com: {backend: mail}\n"

// node is the calls of one node over files of its own.
type node struct {
	t       *testing.T
	dir     string
	calls   *control.Server
	desk    *rulecalls.Desk
	set     *rules.Set
	off     []string
	now     time.Time
	audited []string
	refuse  error // of the next reload
	nodes   []home.Node
}

func newNode(t *testing.T, name string, store *entities.Memory) *node {
	n := &node{t: t, dir: t.TempDir(), now: time.UnixMilli(1_790_000_000_000).UTC(), calls: control.NewServer()}
	n.put("rules.d/own.yaml", own)
	n.put("calendars/teams.yaml", "teams:\n  - {name: desk, calendar: china}\n")
	n.put("postern.yaml", conf+"rules: {dir: "+n.dir+"/rules.d}\nabuse: {calendar: {dir: "+n.dir+"/calendars}}\n")
	cfg, err := config.Load(filepath.Join(n.dir, "postern.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	reload := func(context.Context) (err error) {
		if n.refuse != nil {
			err, n.refuse = n.refuse, nil
			return err
		}
		set, err := setup.Rules(cfg.Rules.Dir)
		if err == nil {
			n.set = set
		}
		return err
	}
	if err := reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.desk = rulecalls.New(rulecalls.Parts{
		Config: func() *config.Config { return cfg }, Started: cfg, ConfigFile: filepath.Join(n.dir, "postern.yaml"), Node: name, Entities: store, Rules: func() *rules.Set { return n.set },
		Pipeline: func() *filter.Pipeline { return &filter.Pipeline{Judge: n.set} }, Spool: &spool.Spool{Dir: t.TempDir()}, Traffic: traffic{n}, Reload: reload,
		Switch: func(off []string) { n.off = off }, Now: func() time.Time { n.now = n.now.Add(time.Millisecond); return n.now }, Log: slog.New(slog.DiscardHandler),
		Nodes: func(context.Context) []home.Node { return n.nodes },
		Audit: func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
			n.audited = append(n.audited, actor+" "+action+" "+object)
			return nil
		},
	})
	n.desk.Handle(n.calls)
	if _, err := n.desk.History.Notice(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// traffic is what a node did today.
type traffic struct{ *node }

func (traffic) Add(record.Row) bool                           { return true }
func (traffic) Prune(context.Context, time.Time) (int, error) { return 0, nil }
func (w traffic) Find(_ context.Context, q record.Trace) (p record.Page, _ error) {
	if q.After == "" {
		p.Rows, p.Next = []record.Row{{Action: "quarantine", Symbols: []string{"HOLD_THIS", "SPF_FAIL"}}, {Action: "accept", Symbols: []string{"HOLD_THIS"}}}, "x"
	} else {
		p.Rows = []record.Row{{Action: "reject", Symbols: []string{"SPF_FAIL"}}}
	}
	return p, nil
}

func (n *node) put(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) text(name string) string {
	b, _ := os.ReadFile(filepath.Join(n.dir, name))
	return string(b)
}

// call makes a call as olga; the words of a refusal come back.
func call[R any](n *node, name string, params any) (out R, refused string) {
	n.t.Helper()
	err := n.calls.Call(control.WithActor(n.t.Context(), "olga"), name, params, &out)
	var e *control.Error
	switch {
	case errors.As(err, &e):
		return out, string(e.Kind) + ": " + e.Message
	case err != nil:
		n.t.Fatal(err)
	}
	return out, ""
}

func TestAFileIsCheckedSavedAndRolledBack(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	const id = "rules/own.yaml"
	wrong := strings.Replace(own, "score: 8", "scor: 8", 1)
	c, _ := call[check.Checked](n, "rules.check", rulecalls.Text{File: id, Text: wrong})
	if c.OK || len(c.Problems) != 1 || c.Problems[0].Line != 6 || c.Problems[0].Column != 5 || !c.Problems[0].Here || c.Problems[0].File != id {
		t.Fatalf("%+v", c)
	}
	if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: id, Text: wrong, Base: c.Base}); !strings.Contains(refused, "own.yaml:6:5") {
		t.Errorf("%q", refused)
	}
	failing := strings.Replace(own, `miss: ["hello"]`, `miss: ["please hold"]`, 1)
	if c, _ := call[check.Checked](n, "rules.check", rulecalls.Text{File: id, Text: failing}); c.OK || !strings.Contains(c.Problems[0].Message, "should not") {
		t.Errorf("a test of its own that fails: %+v", c)
	}
	right := strings.Replace(own, "score: 8", "score: 3", 1)
	c, _ = call[check.Checked](n, "rules.check", rulecalls.Text{File: id, Text: right})
	if !c.OK || len(c.Changes) != 1 || c.Changes[0] != (check.Worth{Symbol: "HOLD_THIS", Before: "8.00", After: "3.00"}) || len(c.Diff) != 1 || c.Tests == 0 {
		t.Fatalf("%+v", c)
	}
	saved, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: id, Text: right, Base: c.Base, Note: "less"})
	if refused != "" || n.text("rules.d/own.yaml") != right || saved.Revision != n.set.Revision() || saved.Change.Actor != "olga" {
		t.Fatalf("%q %+v", refused, saved)
	}
	if s, _ := n.set.Symbol("HOLD_THIS"); s.Score != 300 {
		t.Error("the node does not judge by it")
	}
	if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: id, Text: own, Base: c.Base}); !strings.HasPrefix(refused, "conflict") {
		t.Errorf("over a change of somebody else: %q", refused)
	}
	past, _ := call[rulecalls.Changes](n, "rules.history", rulecalls.Past{File: id})
	if len(past.Changes) != 2 || past.Changes[0].Note != "less" || past.Changes[1].How != "first" {
		t.Fatalf("%+v", past)
	}
	d, _ := call[rulecalls.Difference](n, "rules.diff", rulecalls.ChangeID{ID: past.Changes[0].ID})
	if !d.Known || len(d.Diff) != 1 || d.Back {
		t.Errorf("%+v", d)
	}
	if _, refused := call[rulecalls.Saved](n, "rules.rollback", rulecalls.ChangeID{ID: past.Changes[1].ID, Note: "sorry"}); refused != "" || n.text("rules.d/own.yaml") != own {
		t.Errorf("%q", refused)
	}
	for _, want := range []string{"olga file-saved rules/own.yaml", "olga file-rolled-back rules/own.yaml"} {
		if !slices.Contains(n.audited, want) {
			t.Errorf("the audit lacks %s: %q", want, n.audited)
		}
	}
}

func TestWhatTheNodeDoesNotTakeIsNotLeftOnTheDisk(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	f, _ := call[struct{ Hash string }](n, "rules.file", rulecalls.FileID{File: "rules/own.yaml"})
	n.refuse = errors.New("no")
	if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: "rules/own.yaml", Text: own + "# more\n", Base: f.Hash}); !strings.Contains(refused, "does not take it: no") || n.text("rules.d/own.yaml") != own {
		t.Errorf("%q", refused)
	}
	n.refuse = errors.New("no")
	if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: "rules/new.yaml", Text: "symbols: {}\n"}); refused == "" || n.text("rules.d/new.yaml") != "" {
		t.Errorf("a new file: %q", refused)
	}
	n.refuse = errors.New("no")
	if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: "rules/own.yaml", Gone: true, Base: f.Hash}); refused == "" || n.text("rules.d/own.yaml") != own {
		t.Errorf("a file that was to go: %q", refused)
	}
}

func TestChangesByHandAreNoticed(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	n.put("rules.d/own.yaml", own+"# by hand\n")
	n.desk.Reloaded(t.Context(), n.desk.Config())
	past, _ := call[rulecalls.Changes](n, "rules.history", rulecalls.Past{})
	if past.Changes[0].How != "disk" || past.Changes[0].Actor != "" || !slices.Contains(n.audited, "postern file-changed rules/own.yaml") {
		t.Errorf("%+v %q", past.Changes[0], n.audited)
	}
}

func TestConfigurationSaysWhatNeedsARestart(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	text := n.text("postern.yaml") + "clamav: {addrs: [\"127.0.0.1:3310\"]}\n"
	c, _ := call[check.Checked](n, "rules.check", rulecalls.Text{File: "config/postern.yaml", Text: text})
	if !c.OK || !slices.Equal(c.Restart, []string{"clamav.addrs"}) || len(c.Warnings) == 0 {
		t.Errorf("%+v", c)
	}
	c, _ = call[check.Checked](n, "rules.check", rulecalls.Text{File: "config/postern.yaml", Text: text + "nonsense: 1\n"})
	if c.OK || c.Problems[0].Line == 0 {
		t.Errorf("%+v", c)
	}
}

func TestCalendars(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	day := n.now.AddDate(0, 0, 30)
	for day.Weekday() == time.Saturday || day.Weekday() == time.Sunday {
		day = day.AddDate(0, 0, 1)
	}
	text := "calendar: china\nzone: Asia/Shanghai\nyears:\n  - year: " + day.Format("2006") + "\n    status: final\n    source: here\n    off:\n      - {day: " + day.Format(time.DateOnly) + ", name: A day}\n"
	c, _ := call[check.Checked](n, "rules.check", rulecalls.Text{File: "calendar/china.yaml", Text: text})
	if !c.OK || len(c.Due) == 0 {
		t.Errorf("%+v", c)
	}
	c, _ = call[check.Checked](n, "rules.check", rulecalls.Text{File: "calendar/china.yaml", Text: strings.Replace(text, "off:", "of:", 1)})
	if c.OK || c.Problems[0].Line != 7 || !c.Problems[0].Here {
		t.Errorf("%+v", c.Problems)
	}
}

func TestARuleIsSwitchedOffForATime(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	for _, p := range []list.TurnOff{{Symbol: "NO_SUCH", Hours: 1, Note: "x"}, {Symbol: "VIRUS", Hours: 1, Note: "x"}, {Symbol: "HOLD_THIS", Hours: 0, Note: "x"}, {Symbol: "HOLD_THIS", Hours: 9999, Note: "x"}, {Symbol: "HOLD_THIS", Hours: 1}} {
		if _, refused := call[list.Off](n, "rules.off", p); refused == "" {
			t.Errorf("%+v was done", p)
		}
	}
	if _, refused := call[list.Off](n, "rules.off", list.TurnOff{Symbol: "HOLD_THIS", Hours: 2, Note: "hits invoices"}); refused != "" || !slices.Equal(n.off, []string{"HOLD_THIS"}) {
		t.Fatalf("%q %v", refused, n.off)
	}
	all, _ := call[list.Listed](n, "rules.list", struct{}{})
	if r := all.Rules[0]; r.Symbol != "HOLD_THIS" || r.State != "off" || r.Off.By != "olga" || r.Hits != 2 || r.Verdicts.Quarantine != 1 || r.Verdicts.Accept != 1 || r.File != "rules/own.yaml" || all.Messages != 3 || !all.Whole {
		t.Errorf("%+v", r)
	}
	n.now = n.now.Add(3 * time.Hour)
	if err := n.desk.Look(t.Context()); err != nil || len(n.off) != 0 || !slices.Contains(n.audited, "postern rule-on HOLD_THIS") {
		t.Errorf("%v %v %q", err, n.off, n.audited)
	}
	if _, refused := call[string](n, "rules.on", list.TurnOn{Symbol: "HOLD_THIS"}); !strings.HasPrefix(refused, "not found") {
		t.Errorf("%q", refused)
	}
}

func TestAFileIsSentToTheOtherNodes(t *testing.T) {
	store := &entities.Memory{}
	one, two := newNode(t, "mx1", store), newNode(t, "mx2", store)
	both := []home.Node{{Name: "mx1"}, {Name: "mx2"}}
	if _, refused := call[rulecalls.Delivery](one, "rules.send", rulecalls.SendFile{File: "rules/own.yaml"}); !strings.Contains(refused, "no other node") {
		t.Errorf("%q", refused)
	}
	one.nodes, two.nodes = both, both
	f, _ := call[struct{ Hash string }](one, "rules.file", rulecalls.FileID{File: "rules/own.yaml"})
	next := strings.Replace(own, "score: 8", "score: 2", 1)
	if _, refused := call[rulecalls.Saved](one, "rules.save", rulecalls.Save{File: "rules/own.yaml", Text: next, Base: f.Hash}); refused != "" {
		t.Fatal(refused)
	}
	sent, refused := call[rulecalls.Delivery](one, "rules.send", rulecalls.SendFile{File: "rules/own.yaml", Base: f.Hash})
	if refused != "" || !slices.Equal(sent.Waiting, []string{"mx2"}) {
		t.Fatalf("%q %+v", refused, sent)
	}
	for range 2 { // the second time there is nothing to do
		if err := two.desk.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	sent, _ = call[rulecalls.Delivery](one, "rules.sent", rulecalls.FileID{File: "rules/own.yaml"})
	if len(sent.Answers) != 1 || !sent.Answers[0].OK || len(sent.Waiting) != 0 || two.text("rules.d/own.yaml") != next {
		t.Fatalf("%+v", sent)
	}
	two.put("rules.d/own.yaml", own+"# its own\n")
	if _, refused := call[rulecalls.Delivery](one, "rules.send", rulecalls.SendFile{File: "rules/own.yaml", Base: f.Hash}); refused != "" {
		t.Fatal(refused)
	}
	if err := two.desk.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	sent, _ = call[rulecalls.Delivery](one, "rules.sent", rulecalls.FileID{File: "rules/own.yaml"})
	if sent.Answers[0].OK || !strings.Contains(sent.Answers[0].Says, "another one") || two.text("rules.d/own.yaml") != own+"# its own\n" {
		t.Errorf("%+v", sent)
	}
	if _, refused := call[rulecalls.Delivery](one, "rules.send", rulecalls.SendFile{File: "config/postern.yaml"}); refused == "" {
		t.Error("the configuration of a node was sent")
	}
}

// TestTwoEditors on two nodes lose nothing of each other's: a text follows every one that its
// sender had, whatever the other node's own changes are called in the history that both share, and
// one that somebody made elsewhere in the meantime is a conflict.
func TestTwoEditors(t *testing.T) {
	store := &entities.Memory{}
	one, two := newNode(t, "mx1", store), newNode(t, "mx2", store)
	both := []home.Node{{Name: "mx1"}, {Name: "mx2"}}
	one.nodes, two.nodes = both, both
	file := func(score string) string { return strings.Replace(own, "score: 8", "score: "+score, 1) }
	clock := one.now
	later := func(n *node) { clock = clock.Add(time.Minute); n.now = clock }
	save := func(n *node, text string) {
		t.Helper()
		later(n)
		f, _ := call[struct{ Hash string }](n, "rules.file", rulecalls.FileID{File: "rules/own.yaml"})
		if _, refused := call[rulecalls.Saved](n, "rules.save", rulecalls.Save{File: "rules/own.yaml", Text: text, Base: f.Hash}); refused != "" {
			t.Fatal(refused)
		}
	}
	send := func(from, to *node, force bool) rulecalls.Answer {
		t.Helper()
		later(from)
		if _, refused := call[rulecalls.Delivery](from, "rules.send", rulecalls.SendFile{File: "rules/own.yaml", Force: force}); refused != "" {
			t.Fatal(refused)
		}
		later(to)
		if err := to.desk.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
		d, _ := call[rulecalls.Delivery](from, "rules.sent", rulecalls.FileID{File: "rules/own.yaml"})
		if len(d.Answers) != 1 || d.Sent.Bases != nil {
			t.Fatalf("%+v", d)
		}
		return d.Answers[0]
	}
	save(one, file("2"))
	save(one, file("3"))
	if a := send(one, two, false); !a.OK || two.text("rules.d/own.yaml") != file("3") {
		t.Errorf("two changes before it was sent: %+v", a)
	}
	save(two, file("4"))
	save(one, file("5"))
	if a := send(one, two, false); a.OK || !strings.Contains(a.Says, "olga changed it here at") || two.text("rules.d/own.yaml") != file("4") {
		t.Errorf("two editors: %+v, %q", a, two.text("rules.d/own.yaml"))
	}
	if a := send(two, one, false); a.OK || one.text("rules.d/own.yaml") != file("5") {
		t.Errorf("two editors, the other way: %+v", a)
	}
	if a := send(two, one, true); !a.OK || one.text("rules.d/own.yaml") != file("4") {
		t.Errorf("forced: %+v", a)
	}
	save(one, file("6"))
	if a := send(one, two, false); !a.OK || two.text("rules.d/own.yaml") != file("6") {
		t.Errorf("what came from the other node was changed: %+v", a)
	}
	save(one, file("7"))
	save(two, file("4")) // back to what the sender had long before: a decision of its own
	save(one, file("8"))
	if a := send(one, two, false); a.OK || two.text("rules.d/own.yaml") != file("4") {
		t.Errorf("what went back on purpose: %+v", a)
	}
	two.put("rules.d/own.yaml", file("7"))
	if a := send(one, two, false); a.OK || !strings.Contains(a.Says, "on the disk") || two.text("rules.d/own.yaml") != file("7") {
		t.Errorf("what was changed on the disk: %+v", a)
	}
	if all, _ := call[rulecalls.Changes](two, "rules.history", rulecalls.Past{File: "rules/own.yaml", Limit: 200}); len(all.Changes) < 11 {
		t.Errorf("%d changes are remembered", len(all.Changes))
	}
}

func TestFilesAndKeys(t *testing.T) {
	n := newNode(t, "mx1", &entities.Memory{})
	all, _ := call[rulecalls.Files](n, "rules.files", struct{}{})
	var ids []string
	for _, f := range all.Files {
		if f.ReadOnly == "" {
			ids = append(ids, f.ID)
		}
		if f.Text != "" {
			t.Error("a list with texts")
		}
	}
	if !slices.Equal(ids, []string{"rules/own.yaml", "config/postern.yaml", "calendar/teams.yaml"}) || all.Revision != n.set.Revision() || len(all.Folders) != 2 {
		t.Errorf("%v %+v", ids, all.Folders)
	}
	h, _ := call[rulecalls.Help](n, "rules.keys", rulecalls.Caret{Kind: "rules", Text: own, Line: 4, Column: 6})
	if h.Path != "patterns[].in" || h.Key == nil {
		t.Errorf("%+v", h)
	}
	if _, refused := call[rulecalls.Help](n, "rules.keys", rulecalls.Caret{Kind: "x"}); refused == "" {
		t.Error("keys of nothing")
	}
}
