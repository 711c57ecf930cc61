package replay_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/filter"
	"postern/rules"
	"postern/rules/replay"
)

func load(t testing.TB, text string) *rules.Set {
	t.Helper()
	set, err := rules.LoadFS(rules.Layer{Name: "own", FS: fstest.MapFS{"own.yaml": {Data: []byte(text)}}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const own = `patterns:
  - {id: OWN_PRIZE, describe: The subject announces a prize, in: subject, match: 'prize', score: 3}
  - {id: OWN_CLUB, describe: The subject names our club, in: subject, match: 'our club', score: -2}
  - {id: OWN_SHUT, describe: The subject is one we refuse, in: subject, match: 'never again', action: reject}
  - {id: OWN_PART, describe: A part of something, in: subject, match: 'half', score: 0}
composites:
  - {id: OWN_BOTH, describe: Half of it and no authentication, when: OWN_PART and DMARC_FAIL, score: 6}
symbols:
  OWN_EARLY: {action: reject, stage: rcpt, describe: Refused early}
policies:
  soft: {quarantine: 12, reject: 30}
recipients:
  "*@soft.example": soft
  hard@soft.example: default
`

// world makes messages of what any check may find.
type world struct {
	*mrand.Rand
	set     *rules.Set
	symbols []rules.Symbol
}

func newWorld(t testing.TB, seed uint64) *world {
	set := load(t, own)
	return &world{Rand: mrand.New(mrand.NewPCG(seed, 1)), set: set, symbols: set.Symbols()} //nolint:gosec // tests
}

var addresses = []string{"ann@example.com", "ben+x@soft.example", "hard+y@soft.example", "postmaster@example.com", "abuse@soft.example"}

// message is one with its outcome, as the gateway tells it to observers.
func (w *world) message(t testing.TB) (*filter.Message, filter.Outcome) {
	t.Helper()
	now := time.UnixMilli(1_790_000_000_000 + w.Int64N(1e9))
	id, err := filter.NewID(now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	m := &filter.Message{ID: id, Time: now, Size: w.Int64N(1e6)}
	if w.IntN(6) > 0 {
		m.Body = bytes.NewReader(nil)
	}
	if w.IntN(4) == 0 {
		m.Direction, m.Account = filter.Outbound, "olga@example.com"
	}
	for range 1 + w.IntN(3) {
		to := filter.Recipient{Address: addresses[w.IntN(len(addresses))]}
		to.Policy = w.set.PolicyFor(to.Address)
		if m.Direction == filter.Outbound {
			to.Policy = w.set.AccountPolicy(m.Account)
		}
		m.To = append(m.To, to)
	}
	var r filter.Report
	for range w.IntN(14) {
		sym := w.symbols[w.IntN(len(w.symbols))]
		f := filter.Finding{Symbol: sym.Name, Step: "header", Detail: "something private"}
		switch {
		case sym.Kind == "pattern":
			f.Step = replay.StepPatterns
		case sym.Kind == "composite":
			continue
		case w.IntN(8) == 0:
			f.For = m.To[w.IntN(len(m.To))].Address
		case w.IntN(5) == 0:
			f.Part, f.Types = "1.2", "exe executable"
		}
		r.Findings = append(r.Findings, f)
	}
	if w.IntN(5) == 0 {
		r.Failures = append(r.Failures, filter.Failure{Step: "spf", Reason: "timed out", OnError: filter.Action(w.IntN(4)), Standing: w.IntN(2) == 0})
	}
	return m, filter.Outcome{Report: r, Verdicts: filter.Verdicts(w.set, m, r)}
}

func worst(all []filter.Verdict) (out filter.Verdict) {
	for i, v := range all {
		if i == 0 || v.Action > out.Action {
			out = v
		}
	}
	return out
}

// TestFeaturesGiveTheVerdictAgain: what is kept of a message is enough for the judge, whoever the
// recipients are and wherever it was refused, and says nothing of what the message said.
func TestFeaturesGiveTheVerdictAgain(t *testing.T) {
	w := newWorld(t, 7)
	re, prints := replay.New(w.set, w.set), replay.PrintsOf(w.set)
	var block replay.Writer
	var want []filter.Verdict
	for range 3000 {
		m, o := w.message(t)
		r, ok := replay.Of(m, o)
		if !ok {
			t.Fatal("it was judged")
		}
		block.Add(r)
		want = append(want, worst(o.Verdicts))
	}
	if bytes.Contains(block.Bytes(), []byte("private")) || bytes.Contains(block.Bytes(), []byte("ben")) || bytes.Contains(block.Bytes(), []byte("olga")) {
		t.Error("a name or a detail is kept")
	}
	i := 0
	err := replay.Each(block.Bytes(), func(r replay.Record) error {
		p := re.Pair(r, prints)
		if p.Before.Action != want[i].Action || p.Before.Score != want[i].Score || p.After.Action != want[i].Action {
			t.Errorf("message %d: %s %s, came to %s %s: %+v", i, p.Before.Action, p.Before.Score, want[i].Action, want[i].Score, r)
		}
		if r.Action != want[i].Action || p.Unlike || len(p.Asked) > 0 {
			t.Errorf("message %d: %+v", i, p)
		}
		i++
		return nil
	})
	if err != nil || i != len(want) {
		t.Errorf("%d of %d: %v", i, len(want), err)
	}
	t.Logf("%d octets a record before compression", block.Size()/block.Count())
}

// TestWhatNoRuleJudgedIsNotKept: an unknown recipient, a session that ended.
func TestWhatNoRuleJudgedIsNotKept(t *testing.T) {
	m := &filter.Message{To: []filter.Recipient{{Address: "nobody@example.com"}}}
	if _, ok := replay.Of(m, filter.Outcome{Verdicts: []filter.Verdict{{Action: filter.Reject}}}); ok {
		t.Error("kept")
	}
	if _, ok := replay.Of(m, filter.Outcome{}); ok {
		t.Error("kept")
	}
}

// TestUnknownPatternsAreNeverGuessed: a verdict is known only where every way in which patterns
// without features may have matched comes to the same action.
func TestUnknownPatternsAreNeverGuessed(t *testing.T) {
	w := newWorld(t, 11)
	const changed = "patterns:\n" +
		"  - {id: OWN_PRIZE, describe: Another expression, in: subject, match: 'prizes?', score: 3}\n" +
		"  - {id: OWN_CLUB, describe: Another expression, in: body, match: 'our club', score: -2}\n" +
		"  - {id: OWN_SHUT, describe: The subject is one we refuse, in: subject, match: 'never again', action: reject}\n" +
		"  - {id: OWN_PART, describe: Another expression, in: subject, match: 'halves', score: 0}\n" +
		"  - {id: OWN_NEW, describe: A new one, in: subject, match: 'new', score: 1}\n"
	next := load(t, changed+own[strings.Index(own, "composites:"):])
	open := []string{"OWN_PRIZE", "OWN_CLUB", "OWN_PART", "OWN_NEW"}
	re, prints := replay.New(w.set, next), replay.PrintsOf(w.set)
	known, unknown := 0, 0
	for range 1500 {
		m, o := w.message(t)
		r, _ := replay.Of(m, o)
		p := re.Pair(r, prints)
		if r.Before {
			continue
		}
		m.To = slices.Clone(m.To)
		for i := range m.To {
			if m.Direction == filter.Inbound {
				m.To[i].Policy = next.PolicyFor(m.To[i].Address)
			}
		}
		came := map[filter.Action]bool{}
		for which := range 1 << len(open) {
			var rep filter.Report
			rep.Failures = o.Report.Failures
			for _, f := range o.Report.Findings {
				if f.Step != replay.StepPatterns || !slices.Contains(open, f.Symbol) {
					rep.Findings = append(rep.Findings, f)
				}
			}
			for i, s := range open {
				if which>>i&1 == 1 {
					rep.Findings = append(rep.Findings, filter.Finding{Symbol: s, Step: replay.StepPatterns})
				}
			}
			came[worst(filter.Verdicts(next, m, rep)).Action] = true
		}
		if sure := len(p.Asked) == 0; sure != (len(came) == 1) {
			t.Errorf("known %v, and these may come: %v", sure, came)
		} else if sure && !came[p.After.Action] {
			t.Errorf("%s, and %v comes", p.After.Action, came)
		}
		if len(p.Asked) > 0 {
			unknown++
			if !slices.Contains(p.Asked, "OWN_NEW") || slices.Contains(p.Asked, "OWN_SHUT") {
				t.Errorf("asked %q", p.Asked)
			}
		} else {
			known++
		}
	}
	if known < 100 || unknown < 100 {
		t.Errorf("%d known, %d not: the test shows nothing", known, unknown)
	}
}

// TestPatternsOfAForgottenRevision: where it is not kept what the patterns of then were, none is
// known, and mail is counted as such.
func TestPatternsOfAForgottenRevision(t *testing.T) {
	set := load(t, own)
	m := &filter.Message{ID: strings.Repeat("0", 26), Body: bytes.NewReader(nil), To: []filter.Recipient{{Address: "a@example.com", Policy: "default"}}}
	r, _ := replay.Of(m, filter.Outcome{Verdicts: filter.Verdicts(set, m, filter.Report{})})
	var rep replay.Report
	rep.Add(replay.New(set, set).Pair(r, nil))
	rep.Finish()
	if rep.NotKnown != 1 || rep.Known != 0 || len(rep.Patterns) == 0 {
		t.Errorf("%+v", rep)
	}
}

// TestRefusedBeforeTheBody: mail that the proposed rules would let in to DATA has no body to be
// judged by.
func TestRefusedBeforeTheBody(t *testing.T) {
	set, next := load(t, own), load(t, strings.Replace(own, "action: reject, stage: rcpt, describe: Refused early", "score: 1, describe: Refused early", 1))
	m := &filter.Message{ID: strings.Repeat("0", 26), To: []filter.Recipient{{Address: "a@example.com", Policy: "default"}}}
	rep := filter.Report{Findings: []filter.Finding{{Symbol: "OWN_EARLY", Step: "own"}}}
	r, ok := replay.Of(m, filter.Outcome{Report: rep, Verdicts: filter.Verdicts(set, m, rep)})
	if !ok || r.Action != filter.Reject {
		t.Fatalf("%+v", r)
	}
	if p := replay.New(set, next).Pair(r, replay.PrintsOf(set)); !p.NoBody {
		t.Errorf("%+v", p)
	}
	if p := replay.New(set, set).Pair(r, replay.PrintsOf(set)); p.NoBody || p.After.Action != filter.Reject {
		t.Errorf("%+v", p)
	}
}

func TestReport(t *testing.T) {
	v := func(a filter.Action, reasons ...filter.Reason) filter.Verdict {
		out := filter.Verdict{Action: a, Reasons: reasons}
		for _, r := range reasons {
			out.Score += r.Score
		}
		return out
	}
	var r replay.Report
	at := time.Unix(1_800_000_000, 0)
	for i := range 90 {
		r.Add(replay.Pair{ID: fmt.Sprint(i), At: at.Add(time.Duration(i) * time.Hour), Label: "ham", Before: v(filter.Accept), After: v(filter.Accept)})
	}
	for range 8 {
		r.Add(replay.Pair{ID: "held", Label: "ham", Stands: 4,
			Before: v(filter.Tag, filter.Reason{Symbol: "A", Score: 500}, filter.Reason{Symbol: "OUT", Score: -50}),
			After:  v(filter.Quarantine, filter.Reason{Symbol: "A", Score: 600}, filter.Reason{Symbol: "B", Score: 200})})
	}
	r.Add(replay.Pair{ID: "out", Label: "spam", Before: v(filter.Quarantine), After: v(filter.Accept)})
	r.Add(replay.Pair{ID: "in", Label: "spam", Before: v(filter.Accept), After: v(filter.Reject)})
	r.Add(replay.Pair{ID: "?", Asked: []string{"P"}})
	r.Finish()
	if r.Messages != 101 || r.Known != 100 || r.NotKnown != 1 || r.Seen != 93+32 || r.Stricter.N != 9 || r.Milder.N != 1 || r.Flipped() != 10 {
		t.Errorf("%+v", r)
	}
	if ci := r.Stricter.CI; r.Stricter.Share != 0.09 || ci[0] < 0.047 || ci[0] > 0.049 || ci[1] < 0.161 || ci[1] > 0.163 {
		t.Errorf("%+v", r.Stricter)
	}
	f := r.Flips[0]
	if f.From != "tag" || f.To != "quarantine" || f.N != 8 || len(f.Examples) != replay.MaxExamples {
		t.Errorf("%+v", f)
	}
	want := []replay.Changed{{"B", 0, 200, "new"}, {"A", 500, 600, ""}, {"OUT", -50, 0, "gone"}}
	if got := f.Examples[0].Changed; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if r.Ham.Worse.N != 8 || r.Ham.N != 98 || r.Spam.Worse.N != 1 || r.Spam.Better.N != 1 || r.Share() != 0.09 {
		t.Errorf("%+v %+v %v", r.Ham, r.Spam, r.Share())
	}
	if !r.Since.Equal(at) || !r.Until.Equal(at.Add(89*time.Hour)) {
		t.Errorf("%s to %s", r.Since, r.Until)
	}
	if (&replay.Report{}).Share() != 0 {
		t.Error("nothing flips where there is nothing")
	}
}

// TestDamagedBlocks end in an error, and never in a panic or a loop.
func TestDamagedBlocks(t *testing.T) {
	w := newWorld(t, 3)
	var block replay.Writer
	for range 20 {
		m, o := w.message(t)
		r, _ := replay.Of(m, o)
		block.Add(r)
	}
	whole := block.Bytes()
	for n := 1; n < len(whole); n++ {
		count := 0
		err := replay.Each(whole[:n], func(replay.Record) error { count++; return nil })
		if count > 20 || err != nil && !errors.Is(err, replay.ErrDamaged) {
			t.Fatalf("cut at %d: %d records, %v", n, count, err)
		}
	}
	for range 5000 {
		b := slices.Clone(whole)
		b[w.IntN(len(b))] = byte(w.IntN(256))
		if err := replay.Each(b, func(replay.Record) error { return nil }); err != nil && !errors.Is(err, replay.ErrDamaged) {
			t.Fatal(err)
		}
	}
	if err := replay.Each([]byte{9}, nil); !errors.Is(err, replay.ErrDamaged) {
		t.Error(err)
	}
	if err := replay.Each(nil, nil); err != nil {
		t.Error("an empty block holds nothing")
	}
	stop := errors.New("enough")
	if err := replay.Each(whole, func(replay.Record) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func FuzzBlock(f *testing.F) {
	w := newWorld(f, 5)
	var block replay.Writer
	for range 3 {
		m, o := w.message(f)
		r, _ := replay.Of(m, o)
		block.Add(r)
	}
	f.Add(block.Bytes())
	re := replay.New(w.set, w.set)
	prints := replay.PrintsOf(w.set)
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		err := replay.Each(b, func(r replay.Record) error {
			if n++; n < 20 {
				re.Pair(r, prints)
			}
			return nil
		})
		if err != nil && !errors.Is(err, replay.ErrDamaged) {
			t.Error(err)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	w := newWorld(b, 13)
	m, o := w.message(b)
	for len(o.Report.Findings) < 10 {
		m, o = w.message(b)
	}
	var block replay.Writer
	b.ReportAllocs()
	for b.Loop() {
		r, _ := replay.Of(m, o)
		if block.Size() > 1<<20 {
			block = replay.Writer{}
		}
		block.Add(r)
	}
}

func BenchmarkPair(b *testing.B) {
	w := newWorld(b, 13)
	re, prints := replay.New(w.set, w.set), replay.PrintsOf(w.set)
	var all []replay.Record
	for range 200 {
		m, o := w.message(b)
		r, _ := replay.Of(m, o)
		all = append(all, r)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		re.Pair(all[i%len(all)], prints)
		i++
	}
}
