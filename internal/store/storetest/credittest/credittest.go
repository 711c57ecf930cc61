// Package credittest holds the suite of the ledger of credits: what each home has to keep of it.
package credittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse/service/credit"
	"postern/internal/entity"
	"postern/internal/store/storetest"
)

type world struct {
	testing.TB
	desk *credit.Desk
	now  time.Time

	mu   sync.Mutex
	said []string
	fail error
}

func start(t testing.TB, s entity.Store) *world {
	w := &world{TB: t, now: storetest.Start}
	w.desk = &credit.Desk{Store: s, Now: func() time.Time { return w.now }, Audit: func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fail == nil {
			w.said = append(w.said, actor+" "+action+" "+object)
		}
		return w.fail
	}}
	return w
}

func broken(figure, clause string, value float64, exclusions ...string) credit.Result {
	limit := 44.0
	return credit.Result{Figure: figure, Clause: clause, Kind: credit.Remedy(clause), Formula: "minutes", Unit: "min", Value: &value, Bound: "at most", Limit: &limit, Exclusions: exclusions, Verdict: credit.Broken}
}

func kept(figure, clause string, value float64, exclusions ...string) credit.Result {
	r := broken(figure, clause, value, exclusions...)
	r.Verdict = "kept"
	return r
}

func (w *world) settle(month string, results ...credit.Result) {
	w.Helper()
	if err := w.desk.Settle(w.Context(), month, results); err != nil {
		w.Fatal(err)
	}
}

func (w *world) is(id string, state credit.State, value float64) credit.Credit {
	w.Helper()
	c, err := w.desk.Get(w.Context(), id)
	if err != nil || c.State != state || c.Value == nil || *c.Value != value {
		w.Errorf("%s: %+v %v, want %s of %v", id, c, err, state, value)
	}
	return c
}

// acts are those of the audit since it was last asked.
func (w *world) acts(want ...string) {
	w.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Equal(w.said, want) {
		w.Errorf("the audit has %q, not %q", w.said, want)
	}
	w.said = nil
}

// Credits runs the suite on an empty store.
func Credits(t *testing.T, empty func(t testing.TB) entity.Store) {
	t.Run("once", func(t *testing.T) { once(start(t, empty(t))) })
	t.Run("decided", func(t *testing.T) { decided(start(t, empty(t))) })
	t.Run("asked", func(t *testing.T) { asked(start(t, empty(t))) })
	t.Run("nodes", func(t *testing.T) { nodes(start(t, empty(t))) })
	t.Run("audit", func(t *testing.T) { audit(start(t, empty(t))) })
	t.Run("pages", func(t *testing.T) { pages(start(t, empty(t))) })
}

const id = "c-2026-06-unreached-minutes"

// once: a breach is one draft however often it is counted, and nothing without data is one. A
// draft goes with its breach, and comes back with it.
func once(w *world) {
	nothing := broken("billing-error", "3", 1)
	nothing.Value = nil
	for range 3 {
		w.settle("2026-06", broken("unreached-minutes", "1", 45), kept("reachability", "1", 1), nothing, broken("first-response", "9", 5))
	}
	all, err := w.desk.Of(w.Context(), "2026-06")
	if err != nil || len(all) != 1 || all[0].Kind != credit.Double || all[0].Formula != "minutes" || *all[0].Limit != 44 {
		w.Fatalf("%+v %v", all, err)
	}
	w.acts("service-guarantee credit-draft " + id)
	w.settle("2026-06", broken("unreached-minutes", "1", 50, "x-1"))
	if c := w.is(id, credit.Draft, 50); !slices.Equal(c.Exclusions, []string{"x-1"}) {
		w.Errorf("%+v", c)
	}
	w.settle("2026-06", kept("unreached-minutes", "1", 40, "x-1", "x-2"))
	if c := w.is(id, credit.Withdrawn, 50); !strings.Contains(c.Why, "kept") || !strings.Contains(c.Why, "x-2") {
		w.Errorf("%+v", c)
	}
	w.settle("2026-06", broken("unreached-minutes", "1", 47))
	w.is(id, credit.Draft, 47)
	w.settle("2026-07", broken("unreached-minutes", "1", 99))
	if all, err := w.desk.Of(w.Context(), "2026-06"); err != nil || len(all) != 1 {
		w.Errorf("%+v %v", all, err)
	}
	w.acts("service-guarantee credit-draft "+id, "service-guarantee credit-withdraw "+id, "service-guarantee credit-draft "+id, "service-guarantee credit-draft c-2026-07-unreached-minutes")
	if err := w.desk.Settle(w.Context(), "June", nil); !errors.Is(err, credit.ErrInvalid) {
		w.Error(err)
	}
}

// decided: what a person decided stays. An approved credit that its figure does not bear out
// any more says so until it does.
func decided(w *world) {
	ctx := w.Context()
	w.settle("2026-06", broken("unreached-minutes", "1", 45), broken("signature-age", "5", 200))
	for _, why := range []string{"", " ", strings.Repeat("x", credit.MaxReason+1)} {
		if _, err := w.desk.Decide(ctx, "lea", id, true, why); !errors.Is(err, credit.ErrInvalid) {
			w.Errorf("%.10q: %v", why, err)
		}
	}
	for _, other := range []string{"c-1", "../../etc", ""} {
		if _, err := w.desk.Decide(ctx, "lea", other, true, "why"); !errors.Is(err, credit.ErrNotFound) {
			w.Errorf("%q: %v", other, err)
		}
	}
	c, err := w.desk.Decide(ctx, "lea", id, true, "it was so")
	if err != nil || c.State != credit.Approved || c.Decided != "lea" || c.Why != "it was so" || !c.When.Equal(w.now) {
		w.Errorf("%+v %v", c, err)
	}
	for _, approve := range []bool{true, false} {
		if _, err := w.desk.Decide(ctx, "lee", id, approve, "again"); !errors.Is(err, credit.ErrConflict) {
			w.Error(err)
		}
	}
	if c, err = w.desk.Decide(ctx, "lee", "c-2026-06-signature-age", false, "the scanner was off by order"); err != nil || c.State != credit.Refused {
		w.Errorf("%+v %v", c, err)
	}
	w.said = nil
	for range 2 {
		w.settle("2026-06", kept("unreached-minutes", "1", 40, "x-1"), broken("signature-age", "5", 300))
	}
	if c := w.is(id, credit.Approved, 45); c.Contradicted == nil || *c.Contradicted.Value != 40 || !slices.Equal(c.Contradicted.Exclusions, []string{"x-1"}) || c.Decided != "lea" {
		w.Errorf("%+v", c)
	}
	w.is("c-2026-06-signature-age", credit.Refused, 200)
	w.settle("2026-06", broken("unreached-minutes", "1", 45))
	if c := w.is(id, credit.Approved, 45); c.Contradicted != nil {
		w.Errorf("%+v", c)
	}
	w.acts("service-guarantee credit-contradict "+id, "service-guarantee credit-confirm "+id)
}

// asked: whoever asks for a second person is known until that one has decided.
func asked(w *world) {
	ctx := w.Context()
	w.settle("2026-06", broken("signature-age", "5", 200))
	const id = "c-2026-06-signature-age"
	for range 2 {
		if c, err := w.desk.Ask(ctx, "lea", id, "p-1", "owed"); err != nil || c.State != credit.Draft || !c.Two() || c.Asked == nil || c.Asked.By != "lea" {
			w.Errorf("%+v %v", c, err)
		}
	}
	if err := errors.Join(w.desk.Drop(ctx, "lee", id, "p-other", "no"), w.desk.Drop(ctx, "lee", "c-none", "p-1", "no")); err != nil {
		w.Error(err)
	}
	if c := w.is(id, credit.Draft, 200); c.Asked == nil {
		w.Error("another proposal has taken it away")
	}
	if err := w.desk.Drop(ctx, "lee", id, "p-1", "refused: no"); err != nil {
		w.Error(err)
	}
	if c := w.is(id, credit.Draft, 200); c.Asked != nil {
		w.Errorf("%+v", c)
	}
	w.acts("service-guarantee credit-draft "+id, "lea credit-ask "+id, "lee credit-drop "+id)
}

// nodes: several count the same month at once, and there is one draft and one decision.
func nodes(w *world) {
	var wg sync.WaitGroup
	won := make([]bool, 8)
	for range 8 {
		wg.Go(func() { w.settle("2026-06", broken("unreached-minutes", "1", 45)) })
	}
	wg.Wait()
	w.acts("service-guarantee credit-draft " + id)
	for i := range won {
		wg.Go(func() {
			_, err := w.desk.Decide(w.Context(), fmt.Sprintf("p%d", i), id, i%2 == 0, "why")
			if won[i] = err == nil; err != nil && !errors.Is(err, credit.ErrConflict) {
				w.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	for _, ok := range won {
		if ok {
			n++
		}
	}
	if n != 1 {
		w.Errorf("%d decided it", n)
	}
}

// audit: what it does not take does not take effect.
func audit(w *world) {
	w.fail = errors.New("no audit")
	if err := w.desk.Settle(w.Context(), "2026-06", []credit.Result{broken("unreached-minutes", "1", 45)}); !errors.Is(err, w.fail) {
		w.Error(err)
	}
	if all, err := w.desk.Of(w.Context(), "2026-06"); err != nil || len(all) > 0 {
		w.Errorf("%+v %v", all, err)
	}
	odd := w.fail
	w.fail = nil
	w.settle("2026-06", broken("unreached-minutes", "1", 45))
	w.fail = odd
	if _, err := w.desk.Decide(w.Context(), "lea", id, true, "why"); !errors.Is(err, odd) {
		w.Error(err)
	}
	w.is(id, credit.Draft, 45)
}

// pages: the youngest month first, by state too.
func pages(w *world) {
	ctx := w.Context()
	for m := 1; m <= 9; m++ {
		w.settle(fmt.Sprintf("2026-%02d", m), broken("unreached-minutes", "1", 45))
	}
	if _, err := w.desk.Decide(ctx, "lea", id, false, "no"); err != nil {
		w.Fatal(err)
	}
	for state, want := range map[credit.State]int{"": 9, credit.Draft: 8, credit.Refused: 1, credit.Approved: 0} {
		var got []string
		for after := ""; ; {
			p, err := w.desk.List(ctx, state, after, 4)
			if err != nil {
				w.Fatal(err)
			}
			for _, c := range p.Credits {
				got = append(got, c.ID)
			}
			if after = p.Next; after == "" {
				break
			}
		}
		if len(got) != want || !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(b, a) }) {
			w.Errorf("%q: %q", state, got)
		}
	}
	if _, err := w.desk.List(ctx, "paid", "", 4); !errors.Is(err, credit.ErrInvalid) {
		w.Error(err)
	}
}
