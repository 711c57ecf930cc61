package list_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"postern/cmd/postern/rulecalls/list"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
	"postern/rules"
)

// rows are what traffic there was, in pages of one.
type rows struct {
	all   []record.Row
	asked int
	fails error
}

func (*rows) Add(record.Row) bool                           { return true }
func (*rows) Prune(context.Context, time.Time) (int, error) { return 0, nil }
func (r *rows) Find(_ context.Context, q record.Trace) (record.Page, error) {
	r.asked++
	if r.fails != nil {
		return record.Page{}, r.fails
	}
	at := 0
	if q.After != "" {
		at = int(q.After[0])
	}
	if at >= len(r.all) {
		return record.Page{}, nil
	}
	return record.Page{Rows: r.all[at : at+1], Next: string(rune(at + 1))}, nil
}

type world struct {
	t       *testing.T
	calls   *control.Server
	list    *list.List
	traffic *rows
	off     [][]string
	audited []string
	now     time.Time
	store   *entities.Memory
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := rules.LoadFS(rules.Layer{Name: "/etc/rules.d", FS: fstest.MapFS{"own.yaml": {Data: []byte(`
symbols:
  HOUSE_ONE: {score: 2, describe: One}
  HOUSE_TWO: {score: 0, describe: Two}
  HOUSE_THREE: {action: reject, describe: Three}
composites:
  - {id: HOUSE_ALL, describe: All, when: HOUSE_ONE and HOUSE_TWO, score: 1}
  - {id: HOUSE_PART, describe: Part, when: HOUSE_ONE or HOUSE_TWO, quiet: true}
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, calls: control.NewServer(), traffic: &rows{}, now: time.UnixMilli(1_790_000_000_000), store: &entities.Memory{}}
	w.list = list.New(list.Parts{
		Rules:    func() *rules.Set { return set },
		Dir:      func() string { return "/etc/rules.d" },
		Entities: w.store,
		Traffic:  w.traffic,
		Switch:   func(off []string) { w.off = append(w.off, off) },
		Now:      func() time.Time { return w.now },
		Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
			w.audited = append(w.audited, actor+" "+action+" "+object+" "+note)
			return nil
		},
	})
	w.list.Handle(w.calls)
	return w
}

func (w *world) call(name string, params, out any) error {
	return w.calls.Call(control.WithActor(w.t.Context(), "olga"), name, params, out)
}

func (w *world) rule(name string) list.Rule {
	w.t.Helper()
	var all list.Listed
	if err := w.call("rules.list", struct{}{}, &all); err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(all.Rules, func(r list.Rule) bool { return r.Symbol == name })
	if i < 0 {
		w.t.Fatalf("there is no %s", name)
	}
	return all.Rules[i]
}

func TestStates(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		symbol string
		state  string
		kind   string
		worth  string
		file   string
		mayOff bool
	}{
		{symbol: "HOUSE_ONE", state: "on", kind: "check", worth: "2.00", file: "rules/own.yaml", mayOff: true},
		{symbol: "HOUSE_TWO", state: "shadow", kind: "check", worth: "0.00", file: "rules/own.yaml", mayOff: true},
		{symbol: "HOUSE_THREE", state: "on", kind: "check", worth: "0.00 reject", file: "rules/own.yaml", mayOff: true},
		{symbol: "HOUSE_ALL", state: "on", kind: "composite", worth: "1.00", file: "rules/own.yaml", mayOff: true},
		{symbol: "HOUSE_PART", state: "quiet", kind: "composite", worth: "0.00 quiet", file: "rules/own.yaml", mayOff: true},
		{symbol: "VIRUS", state: "on", kind: "check", worth: "0.00", file: "default/clamav.yaml", mayOff: false},
	} {
		r := w.rule(c.symbol)
		if r.State != c.state {
			t.Errorf("%s is %s", c.symbol, r.State)
		}
		if r.Kind != c.kind || r.Worth != c.worth {
			t.Errorf("%s: %s, worth %q", c.symbol, r.Kind, r.Worth)
		}
		if r.File != c.file {
			t.Errorf("%s stands in %q", c.symbol, r.File)
		}
		if r.MayOff != c.mayOff {
			t.Errorf("%s may be switched off: %v", c.symbol, r.MayOff)
		}
	}
	if r := w.rule("HOUSE_ONE"); !slices.Equal(r.Used, []string{"HOUSE_ALL", "HOUSE_PART"}) {
		t.Errorf("used by %v", r.Used)
	}
}

func TestWhatRulesDid(t *testing.T) {
	w := newWorld(t)
	for _, action := range []string{"accept", "tag", "tag", "quarantine", "defer", "reject"} {
		w.traffic.all = append(w.traffic.all, record.Row{Action: action, Symbols: []string{"HOUSE_ONE", "NOT_KNOWN"}})
	}
	r := w.rule("HOUSE_ONE")
	want := list.Verdicts{Accept: 1, Tag: 2, Quarantine: 1, Defer: 1, Reject: 1}
	if r.Hits != 6 || r.Verdicts != want {
		t.Errorf("%d %+v", r.Hits, r.Verdicts)
	}
	asked := w.traffic.asked
	w.rule("HOUSE_ONE")
	if w.traffic.asked != asked {
		t.Error("it is counted anew at each look")
	}
	w.now = w.now.Add(2 * time.Minute)
	w.traffic.all = w.traffic.all[:1]
	if r := w.rule("HOUSE_ONE"); r.Hits != 1 {
		t.Errorf("%d after a while", r.Hits)
	}
	w.now = w.now.Add(2 * time.Minute)
	w.traffic.fails = errors.New("away")
	if err := w.call("rules.list", struct{}{}, nil); err == nil {
		t.Error("figures without the traffic")
	}
}

func TestOffAndOn(t *testing.T) {
	w := newWorld(t)
	var o list.Off
	if err := w.call("rules.off", list.TurnOff{Symbol: "HOUSE_ONE", Hours: 24, Note: "too many"}, &o); err != nil {
		t.Fatal(err)
	}
	if o.By != "olga" || !o.Until.Equal(w.now.Add(24*time.Hour)) {
		t.Errorf("%+v", o)
	}
	if r := w.rule("HOUSE_ONE"); r.State != "off" || r.Off == nil || r.Off.Note != "too many" {
		t.Errorf("%+v", r)
	}
	if err := w.call("rules.off", list.TurnOff{Symbol: "HOUSE_ONE", Hours: 48, Note: "longer"}, &o); err != nil || !o.Until.Equal(w.now.Add(48*time.Hour)) {
		t.Errorf("longer: %v %+v", err, o)
	}
	if err := w.call("rules.on", list.TurnOn{Symbol: "HOUSE_ONE", Note: "mended"}, nil); err != nil {
		t.Fatal(err)
	}
	if r := w.rule("HOUSE_ONE"); r.State != "on" {
		t.Errorf("%+v", r)
	}
	if len(w.off) != 2 || !slices.Equal(w.off[0], []string{"HOUSE_ONE"}) || len(w.off[1]) != 0 {
		t.Errorf("switched: %v", w.off)
	}
	want := []string{"olga rule-off HOUSE_ONE too many", "olga rule-off HOUSE_ONE longer", "olga rule-on HOUSE_ONE mended"}
	if !slices.Equal(w.audited, want) {
		t.Errorf("%q", w.audited)
	}
}

// Another node sees by the store what was switched off.
func TestAnotherNodeFollows(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	other.list.Entities = w.store
	if err := w.call("rules.off", list.TurnOff{Symbol: "HOUSE_THREE", Hours: 1, Note: "x"}, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := other.list.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(other.off) != 1 || !slices.Equal(other.off[0], []string{"HOUSE_THREE"}) {
		t.Errorf("%v", other.off)
	}
	other.now = other.now.Add(2 * time.Hour)
	if err := other.list.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(other.off) != 2 || len(other.off[1]) != 0 {
		t.Errorf("its time is over: %v", other.off)
	}
	if len(other.audited) != 1 || other.audited[0] != "postern rule-on HOUSE_THREE its time is over" {
		t.Errorf("%q", other.audited)
	}
	if all, err := w.list.Active(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}
