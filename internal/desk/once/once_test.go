package once_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/desk/once"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
)

func answer(n int) once.Answer { return once.Answer{Status: n, Body: json.RawMessage(`{"a":1}`)} }

func TestManyAtOnceAreOne(t *testing.T) {
	k := once.New(&entities.Memory{}, time.Now)
	var done, running, again atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			a, was, err := k.Do(t.Context(), once.Use{Caller: "anna", Key: "k", Request: []byte("r")}, func() once.Answer {
				done.Add(1)
				return answer(200)
			})
			switch {
			case errors.Is(err, once.ErrRunning):
				running.Add(1)
			case err != nil || a.Status != 200:
				t.Error(a, err)
			case was:
				again.Add(1)
			}
		})
	}
	all.Wait()
	if done.Load() != 1 || running.Load()+again.Load() != 19 {
		t.Errorf("done %d times, %d found it running, %d had the answer", done.Load(), running.Load(), again.Load())
	}
}

func TestKeysAreTheCallers(t *testing.T) {
	k := once.New(&entities.Memory{}, time.Now)
	n := 0
	do := func() once.Answer { n++; return answer(200) }
	for _, u := range []once.Use{{Caller: "a", Key: "bc"}, {Caller: "ab", Key: "c"}, {Caller: "a", Key: "b"}} {
		if _, again, err := k.Do(t.Context(), u, do); again || err != nil {
			t.Errorf("%+v: %v %v", u, again, err)
		}
	}
	if n != 3 {
		t.Errorf("done %d times", n)
	}
}

func TestWhatIsKept(t *testing.T) {
	k := once.New(&entities.Memory{}, time.Now)
	large := once.Answer{Status: 200, Body: json.RawMessage(`"` + strings.Repeat("x", once.MaxAnswer) + `"`)}
	for name, c := range map[string]struct {
		use    once.Use
		answer once.Answer
		again  bool
		body   bool
	}{
		"answer": {once.Use{Key: "1"}, answer(200), true, true}, "refusal": {once.Use{Key: "2"}, answer(409), true, true}, "secret": {once.Use{Key: "3", Secret: true}, answer(200), true, false},
		"large": {once.Use{Key: "4"}, large, true, false}, "fault": {once.Use{Key: "5"}, answer(500), false, true},
	} {
		for i := range 2 {
			a, again, err := k.Do(t.Context(), c.use, func() once.Answer { return c.answer })
			if err != nil || a.Status != c.answer.Status || again != (c.again && i == 1) {
				t.Errorf("%s, time %d: %d again %v %v", name, i, a.Status, again, err)
			}
			if i == 1 && (len(a.Body) > 0) != c.body {
				t.Errorf("%s: the second answer is %.40s", name, a.Body)
			}
		}
	}
}

// away is a store that loses its writer between the act and the note that it is done.
type away struct {
	entity.Store
	down bool
}

func (a *away) Put(ctx context.Context, r entity.Record) error {
	if a.down {
		return errors.New("away")
	}
	return a.Store.Put(ctx, r)
}

func TestAnActThatCouldNotBeNotedIsNotDoneTwice(t *testing.T) {
	s := &away{Store: &entities.Memory{}}
	now := time.Unix(1_900_000_000, 0)
	k := once.New(s, func() time.Time { return now })
	u, n := once.Use{Key: "k"}, 0
	do := func() once.Answer { n++; s.down = true; return answer(200) }
	if a, again, err := k.Do(t.Context(), u, do); err != nil || again || a.Status != 200 {
		t.Fatal(a, again, err)
	}
	s.down = false
	if _, _, err := k.Do(t.Context(), u, do); !errors.Is(err, once.ErrRunning) || n != 1 {
		t.Errorf("%v, done %d times", err, n)
	}
	s.down = true
	if _, _, err := k.Do(t.Context(), once.Use{Key: "other"}, do); err == nil || n != 1 {
		t.Errorf("without a note: %v, done %d times", err, n)
	}
	s.down = false
	now = now.Add(once.Kept)
	if gone, err := k.Prune(t.Context(), 10); gone != 1 || err != nil {
		t.Errorf("forgot %d: %v", gone, err)
	}
	if _, again, err := k.Do(t.Context(), u, do); again || err != nil || n != 2 {
		t.Errorf("a day later: %v %v, done %d times", again, err, n)
	}
}
