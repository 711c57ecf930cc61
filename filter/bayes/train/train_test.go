package train_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter/bayes"
	"postern/filter/bayes/token"
	"postern/filter/bayes/train"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/mime"
	"postern/internal/store/storetest/bayestest"
)

type world struct {
	*train.Trainer
	counts  *bayestest.Memory
	records *entities.Memory
	now     time.Time
	limits  train.Limits
}

func open() *world {
	w := &world{counts: &bayestest.Memory{}, records: &entities.Memory{}, now: time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC), limits: train.Limits{Keep: 1000, Sender: 2, Voter: 3}}
	w.Trainer = &train.Trainer{
		Records: w.records, Reader: bayes.Reader{Store: w.counts, Tokenizer: token.Tokenizer{Key: token.Key{5}}},
		Now: func() time.Time { return w.now }, Limits: func() train.Limits { return w.limits },
	}
	return w
}

// letter is the nth letter of a kind.
func letter(kind string, n int) *mime.Tree {
	return mime.Bytes(fmt.Appendf(nil, "From: a@%s%d.example\r\nMessage-ID: <%d@%s>\r\nSubject: %s %d\r\n\r\nthis is about %s and nothing but %s, number %d of many\r\n", kind, n%7, n, kind, kind, n, kind, kind, n), mime.DefaultLimits())
}

func items(kind string, class bayes.Class, from, n int) (out []train.Item) {
	for i := from; i < from+n; i++ {
		out = append(out, train.Item{Tree: letter(kind, i), Class: class, Ref: fmt.Sprintf("%s/%d", kind, i)})
	}
	return out
}

func act(run string) train.Act { return train.Act{By: "ann", Via: train.ViaCommand, Run: run} }

func (w *world) learn(t *testing.T, act train.Act, items ...train.Item) map[string]int {
	t.Helper()
	states := map[string]int{}
	for len(items) > 0 {
		n := min(len(items), train.Batch)
		got, err := w.Learn(t.Context(), items[:n], act)
		if err != nil || len(got) != n {
			t.Fatalf("%d of %d, %v", len(got), n, err)
		}
		for _, r := range got {
			states[r.State]++
		}
		items = items[n:]
	}
	return states
}

func (w *world) learned(t *testing.T, scope string, spam, ham int) {
	t.Helper()
	got, err := w.Reader.Learned(t.Context(), scope)
	if want := (bayes.Count{Spam: spam, Ham: ham}); err != nil || got != want {
		t.Errorf("%q: %v, %v; want %v", scope, got, err, want)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestOnce(t *testing.T) {
	w := open()
	one := items("pills", bayes.Spam, 1, 1)
	same(t, w.learn(t, act("a"), one...), map[string]int{train.Learned: 1})
	once := w.counts.All()
	same(t, w.learn(t, act("b"), one...), map[string]int{train.Already: 1})
	same(t, w.counts.All(), once)
	copied := []train.Item{{Class: bayes.Spam, Tree: mime.Bytes(append([]byte("Received: from x by y\r\nX-Postern-Verdict: tag\r\n"), letter("pills", 1).Root.Raw()...), mime.DefaultLimits())}}
	same(t, w.learn(t, act("b"), copied...), map[string]int{train.Already: 1}) // the same message on another way
	w.learned(t, "", 1, 0)

	one[0].Class = bayes.Ham
	same(t, w.learn(t, act("c"), one...), map[string]int{train.Changed: 1})
	w.learned(t, "", 0, 1)
	one[0].Class = bayes.None
	same(t, w.learn(t, act("d"), one...), map[string]int{train.Forgotten: 1})
	same(t, w.counts.All(), map[uint64]bayes.Count{})
	same(t, w.learn(t, act("e"), one...), map[string]int{train.Unknown: 1})
	one[0].Class = bayes.Spam
	same(t, w.learn(t, act("f"), one...), map[string]int{train.Learned: 1})
	same(t, w.counts.All(), once)
}

// TestAnothersID: whoever writes the Message-ID of another message does not become it.
func TestAnothersID(t *testing.T) {
	w := open()
	w.learn(t, act("a"), items("talk", bayes.Ham, 1, 1)...)
	forged := mime.Bytes([]byte("Message-ID: <1@talk>\r\n\r\nbuy\r\n"), mime.DefaultLimits())
	same(t, w.learn(t, act("b"), train.Item{Tree: forged, Class: bayes.Spam}), map[string]int{train.Learned: 1})
	w.learned(t, "", 1, 1)
}

func TestForgettingIsExact(t *testing.T) {
	w := open()
	w.learn(t, act("a"), append(items("pills", bayes.Spam, 0, 40), items("talk", bayes.Ham, 0, 40)...)...)
	before := w.counts.All()
	w.learn(t, act("b"), append(items("watch", bayes.Spam, 0, 30), items("pills", bayes.Ham, 0, 10)...)...)
	w.learn(t, act("c"), append(items("watch", bayes.None, 0, 30), items("pills", bayes.Spam, 0, 10)...)...)
	same(t, w.counts.All(), before)
}

func TestUndo(t *testing.T) {
	w := open()
	w.learn(t, act("a"), append(items("pills", bayes.Spam, 0, 20), items("talk", bayes.Ham, 0, 20)...)...)
	before := w.counts.All()
	began := w.now.Add(time.Minute)
	w.now = w.now.Add(time.Hour)
	w.learn(t, act("b"), append(append(items("pills", bayes.Ham, 0, 5), items("talk", bayes.None, 0, 5)...), items("news", bayes.Spam, 0, 70)...)...)
	wrong := w.counts.All()
	for name, back := range map[string]train.Back{"act": {Run: "b"}, "span": {Since: began}} {
		n, err := w.Undo(t.Context(), back, "bob")
		if err != nil || n != 80 {
			t.Errorf("%s: %d taken back, %v", name, n, err)
		}
		same(t, w.counts.All(), before)
		if n, err := w.Undo(t.Context(), back, "bob"); n != 0 || err != nil { // no second time
			t.Errorf("%s again: %d, %v", name, n, err)
		}
		w.learn(t, act("b"), append(append(items("pills", bayes.Ham, 0, 5), items("talk", bayes.None, 0, 5)...), items("news", bayes.Spam, 0, 70)...)...)
		same(t, w.counts.All(), wrong)
	}
	got, err := w.Learn(t.Context(), items("one", bayes.Spam, 0, 1), act("c"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.Undo(t.Context(), train.Back{ID: got[0].ID}, "bob"); n != 1 || err != nil {
		t.Errorf("one: %d, %v", n, err)
	}
	same(t, w.counts.All(), wrong)
	for _, what := range []train.Back{{}, {ID: "x", Run: "b"}, {Run: "b", Since: began}} {
		if _, err := w.Undo(t.Context(), what, "bob"); !errors.Is(err, train.ErrWhat) {
			t.Errorf("%+v: %v", what, err)
		}
	}
	for _, what := range []train.Back{{ID: "nothing"}, {Run: "nothing"}} {
		if _, err := w.Undo(t.Context(), what, "bob"); !errors.Is(err, train.ErrNotFound) {
			t.Errorf("%+v: %v", what, err)
		}
	}
}

func TestScopesAreApart(t *testing.T) {
	w := open()
	here := act("a")
	here.Scope = "shop.example"
	w.learn(t, here, items("pills", bayes.Ham, 0, 3)...)
	w.learn(t, act("b"), items("pills", bayes.Spam, 0, 2)...)
	w.learned(t, "shop.example", 0, 3)
	w.learned(t, "", 2, 0)
	s, err := w.Status(t.Context(), []string{"", "shop.example"})
	if err != nil || len(s.Scopes) != 2 || s.Scopes[1].Ham != 3 || s.Scopes[0].Spam != 2 || s.Idle != 0 || s.Tokens == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := w.Status(t.Context(), []string{""}); err != nil || s.Idle != 3 { // the domain has no scope any more
		t.Errorf("%+v, %v", s, err)
	}
}

func TestOldestGoes(t *testing.T) {
	w := open()
	w.limits.Keep = 10
	for i := range 25 {
		w.now = w.now.Add(time.Minute)
		w.learn(t, act("a"), items("pills", bayes.Spam, i, 1)...)
	}
	w.learned(t, "", 10, 0)
	same(t, w.learn(t, act("b"), append(items("pills", bayes.Spam, 15, 10), items("pills", bayes.None, 0, 15)...)...), map[string]int{train.Already: 10, train.Unknown: 15})
	w.learn(t, act("c"), items("pills", bayes.None, 15, 10)...)
	same(t, w.counts.All(), map[uint64]bayes.Count{})
}

func TestSenderCap(t *testing.T) {
	w := open()
	release := train.Act{By: "cleo", Via: train.ViaRelease, Run: "r"}
	of := func(n int) train.Item { return train.Item{Tree: letter("talk", n*7), Class: bayes.Ham} } // all of one sender
	same(t, w.learn(t, release, of(1), of(2), of(3), of(4)), map[string]int{train.Learned: 2, train.Capped: 2})
	same(t, w.learn(t, release, items("talk", bayes.Ham, 1, 1)...), map[string]int{train.Learned: 1}) // another
	same(t, w.learn(t, act("c"), of(3)), map[string]int{train.Learned: 1})                            // a command is not bound
	w.now = w.now.Add(24 * time.Hour)
	same(t, w.learn(t, release, of(5)), map[string]int{train.Learned: 1})
}

// TestCutShort: what stands in the journal and was not counted is counted by a repair.
func TestCutShort(t *testing.T) {
	w := open()
	w.learn(t, act("a"), items("talk", bayes.Ham, 0, 5)...)
	w.counts.Fail = func() error { return errors.New("away") }
	if _, err := w.Learn(t.Context(), items("pills", bayes.Spam, 0, 5), act("b")); err == nil {
		t.Fatal("no error")
	}
	w.counts.Fail = nil
	w.learned(t, "", 0, 5)
	if n, err := w.Repair(t.Context(), []string{""}); n != 10 || err != nil {
		t.Errorf("%d repaired, %v", n, err)
	}
	w.learned(t, "", 5, 5)
	whole := w.counts.All()
	if n, err := w.Repair(t.Context(), []string{""}); n != 0 || err != nil {
		t.Errorf("%d repaired of what is whole, %v", n, err)
	}
	if err := w.counts.Reset(t.Context()); err != nil { // as after a restore
		t.Fatal(err)
	}
	if _, err := w.Repair(t.Context(), []string{""}); err != nil {
		t.Error(err)
	}
	same(t, maps.Clone(w.counts.All()), whole)
}

// TestOtherKey: what was hashed under another key counts for nobody, and the status says so.
func TestOtherKey(t *testing.T) {
	w := open()
	w.learn(t, act("a"), items("talk", bayes.Ham, 0, 5)...)
	w.Reader.Tokenizer.Key = token.Key{6}
	if err := w.counts.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.learn(t, act("b"), items("pills", bayes.Spam, 0, 2)...)
	if n, err := w.Repair(t.Context(), []string{""}); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if s, err := w.Status(t.Context(), []string{""}); err != nil || s.Idle != 5 || s.Scopes[0].Spam != 2 || s.Scopes[0].Ham != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestAside: what is kept aside counts nothing, always the same messages, and tests the rest.
func TestAside(t *testing.T) {
	w := open()
	w.limits.Aside = 3
	states := map[string]int{}
	for i := range 12 {
		w.now = w.now.Add(time.Minute)
		for state, n := range w.learn(t, act("a"), append(items("pills", bayes.Spam, i*25, 25), items("talk", bayes.Ham, i*25, 25)...)...) {
			states[state] += n
		}
	}
	s, err := w.Status(t.Context(), []string{""})
	if err != nil {
		t.Fatal(err)
	}
	one := s.Scopes[0]
	if one.Spam+one.Ham != states[train.Learned] || one.Aside != states[train.Aside] || one.Aside < 150 || one.Aside > 250 || one.Says == "nothing" || !one.First.Before(one.Last) || s.Idle != 0 {
		t.Errorf("%+v, %v", one, states)
	}
	if one.Caught.N != one.Caught.Of || one.Wrong.N != 0 || one.Missed.N != 0 || len(one.Misses) != 0 || one.Caught.Of+one.Wrong.Of != one.Aside {
		t.Errorf("caught %+v, wrong %+v, missed %+v, %v", one.Caught, one.Wrong, one.Missed, one.Misses)
	}
	if one.Wrong.High <= 0 || one.Wrong.High > 0.1 || one.Caught.Low >= 1 {
		t.Errorf("intervals: caught %+v, wrong %+v", one.Caught, one.Wrong)
	}
	w.learn(t, act("b"), items("talk", bayes.Spam, 400, 20)...) // called spam, though all like it was good
	s, err = w.Status(t.Context(), []string{""})
	if err != nil {
		t.Fatal(err)
	}
	if one = s.Scopes[0]; one.Missed.N == 0 || len(one.Misses) != one.Missed.N || one.Misses[0].Class != "spam" || one.Misses[0].Ref == "" || one.Misses[0].By != "ann" {
		t.Errorf("missed %+v, %+v", one.Missed, one.Misses)
	}
	again := w.learn(t, act("c"), items("pills", bayes.Spam, 0, 25)...)
	same(t, again, map[string]int{train.Already: 25})
	w.learn(t, act("d"), items("pills", bayes.None, 0, 300)...)
	w.learn(t, act("d"), items("talk", bayes.None, 0, 300)...)
	w.learn(t, act("d"), items("talk", bayes.None, 400, 20)...)
	same(t, w.counts.All(), map[uint64]bayes.Count{})
	if s, err := w.Status(t.Context(), []string{""}); err != nil || s.Scopes[0].Aside != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestWeight: who has less weight changes nothing that was said with more.
func TestWeight(t *testing.T) {
	w := open()
	w.limits.Sender = 0
	via := func(way, by string) train.Act { return train.Act{By: by, Via: way, Run: way} }
	one := func(class bayes.Class) train.Item { return items("talk", class, 1, 1)[0] }
	for _, step := range []struct {
		way, by string
		class   bayes.Class
		want    string
	}{
		{train.ViaAuto, "postern", bayes.Spam, train.Learned},
		{train.ViaRecipient, "bob@example.com", bayes.Ham, train.Changed},
		{train.ViaAuto, "postern", bayes.Spam, train.Kept},
		{train.ViaDelete, "ann", bayes.Spam, train.Changed},
		{train.ViaRecipient, "cleo@example.com", bayes.Ham, train.Kept},
		{train.ViaDesk, "ann", bayes.Ham, train.Changed},
		{train.ViaReport, "cleo@example.com", bayes.Spam, train.Kept},
		{train.ViaCommand, "root", bayes.None, train.Forgotten},
		{train.ViaRelease, "ann", bayes.Ham, train.Kept},
		{train.ViaDesk, "ann", bayes.Ham, train.Learned},
	} {
		same(t, w.learn(t, via(step.way, step.by), one(step.class)), map[string]int{step.want: 1})
	}
	if n, err := w.Undo(t.Context(), train.Back{Run: train.ViaDesk}, "ann"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	same(t, w.learn(t, via(train.ViaRelease, "ann"), one(bayes.Ham)), map[string]int{train.Kept: 1}) // it was taken back
	same(t, w.counts.All(), map[uint64]bayes.Count{})
}

// TestVotes: a recipient has one vote a day about a sender, and few in all.
func TestVotes(t *testing.T) {
	w := open()
	w.limits.Sender = 10
	of := func(sender, n int) train.Item { return train.Item{Tree: letter("talk", n*7+sender), Class: bayes.Ham} }
	bob, cleo := train.Act{By: "bob@example.com", Via: train.ViaRecipient, Run: "r"}, train.Act{By: "cleo@example.com", Via: train.ViaRecipient, Run: "r"}
	same(t, w.learn(t, bob, of(0, 1), of(0, 2)), map[string]int{train.Learned: 1, train.Capped: 1})
	same(t, w.learn(t, bob, of(1, 1), of(2, 1), of(3, 1)), map[string]int{train.Learned: 2, train.Capped: 1}) // three in all
	same(t, w.learn(t, cleo, of(0, 1), of(0, 3)), map[string]int{train.Already: 1, train.Learned: 1})
	w.learned(t, "", 0, 4)
	w.now = w.now.Add(24 * time.Hour)
	same(t, w.learn(t, bob, of(0, 2)), map[string]int{train.Learned: 1})
}

// TestUndoAuto takes back what nobody said, and leaves what people did.
func TestUndoAuto(t *testing.T) {
	w := open()
	w.limits.Sender = 0
	began := w.now
	w.learn(t, act("a"), items("pills", bayes.Spam, 0, 5)...)
	before := w.counts.All()
	w.learn(t, train.Act{By: "postern", Via: train.ViaAuto, Run: "auto"}, items("news", bayes.Spam, 0, 70)...)
	w.learn(t, act("b"), items("news", bayes.None, 0, 1)...) // a person was quicker with one
	if n, err := w.Undo(t.Context(), train.Back{Since: began, Via: train.ViaAuto}, "ann"); n != 69 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	same(t, w.counts.All(), before)
}

// TestForgottenExpire: what counts no more leaves the journal after a while.
func TestForgottenExpire(t *testing.T) {
	w := open()
	w.learn(t, act("a"), items("pills", bayes.Spam, 0, 100)...)
	w.learn(t, act("b"), items("pills", bayes.None, 0, 80)...)
	kept := w.counts.All()
	for wait, want := range map[time.Duration]int{train.Regret - time.Hour: 0} {
		w.now = w.now.Add(wait)
		if n, err := w.Expire(t.Context()); n != want || err != nil {
			t.Errorf("after %s: %d, %v", wait, n, err)
		}
	}
	if n, err := w.Undo(t.Context(), train.Back{Run: "b"}, "ann"); n != 80 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.learn(t, act("c"), items("pills", bayes.None, 0, 80)...)
	w.now = w.now.Add(train.Regret + time.Hour)
	if n, err := w.Expire(t.Context()); n != 80 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	same(t, w.counts.All(), kept)
	if _, err := w.Undo(t.Context(), train.Back{Run: "c"}, "ann"); !errors.Is(err, train.ErrNotFound) {
		t.Error(err)
	}
	w.learned(t, "", 20, 0)
}

func TestFaults(t *testing.T) {
	w := open()
	if _, err := w.Learn(t.Context(), make([]train.Item, train.Batch+1), act("a")); err == nil {
		t.Error("more than a batch was taken")
	}
	w.records.Fail = func() error { return errors.New("full") }
	if _, err := w.Learn(t.Context(), items("talk", bayes.Ham, 0, 3), act("a")); err == nil {
		t.Error("no error of the journal")
	}
	same(t, w.counts.All(), map[uint64]bayes.Count{}) // what is not in the journal is not counted
	w.records.Fail = nil
	if err := w.records.Put(t.Context(), entity.Record{Kind: train.Kind, ID: "x", Version: 1, Data: []byte(`{"id":7}`), Keys: []entity.Key{{Index: "at", At: 1}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Undo(t.Context(), train.Back{ID: "x"}, "ann"); err == nil {
		t.Error("a damaged entry was taken back")
	}
}
