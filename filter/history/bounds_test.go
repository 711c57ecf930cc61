package history

import (
	"fmt"
	"testing"
	"time"
)

// Many signatures do not fill the memory, those in use stay, and an hour later nothing is
// left.
func TestSignaturesAreBounded(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newReplays(now)
	busy := []signature{{"a.example", "busy"}}
	for n := range MaxSignatures + 5000 {
		r.add(now, []signature{{"a.example", fmt.Sprint(n)}}, []string{"x"})
		if n < 300 || n%1000 == 0 {
			r.add(now, busy, []string{fmt.Sprint(n)})
		}
		if n := r.order.Len(); n > MaxSignatures || n != len(r.known) {
			t.Fatalf("%d signatures in order, %d known", n, len(r.known))
		}
	}
	if n := len(r.known[busy[0]].Value.(*watched).envelopes); n != ReplayEnvelopes+1 {
		t.Errorf("%d envelopes of the busy signature", n)
	}
	if _, ok := r.finding(now, busy, []string{"new"}); !ok {
		t.Error("a signature in use was forgotten for those that came once")
	}
	r.add(now.Add(ReplayWindow), []signature{{"b.example", "b"}}, []string{"x"})
	if r.order.Len() != 1 || len(r.known) != 1 {
		t.Errorf("%d signatures are left after an hour", r.order.Len())
	}
}

// A clock that is set, without a monotonic reading, neither empties nor freezes the count for
// longer than the window.
func TestReplayClockIsSet(t *testing.T) {
	now := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	r := newReplays(now)
	s := []signature{{"a.example", "b"}}
	for n := range 200 {
		r.add(now, s, []string{fmt.Sprint(n)})
	}
	for _, set := range []time.Duration{-30 * time.Minute, 30 * time.Minute} {
		if _, ok := r.finding(now.Add(set), s, []string{"x"}); !ok {
			t.Errorf("set by %v: the count is lost", set)
		}
	}
	for _, set := range []time.Duration{-87600 * time.Hour, 87600 * time.Hour} {
		if _, ok := r.finding(now.Add(set), s, []string{"x"}); ok {
			t.Errorf("set by %v: counts as within the hour", set)
		}
	}
}

func BenchmarkReplays(b *testing.B) {
	now := time.Now()
	r := newReplays(now)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		n++
		s := []signature{{"a.example", fmt.Sprint(n % 50_000)}}
		r.finding(now, s, []string{"x"})
		r.add(now, s, []string{"x"})
	}
}

// Fields that run into each other make different keys.
func TestKeyOf(t *testing.T) {
	keys := map[Key]string{}
	for _, fields := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a", "", "b"}, {"\x01a", "b"}} {
		k := keyOf(fields...)
		if other, ok := keys[k]; ok {
			t.Errorf("%q has the key of %s", fields, other)
		}
		keys[k] = fmt.Sprintf("%q", fields)
	}
}
