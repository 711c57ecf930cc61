package index_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	diff "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"postern/filter"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/holds/index"
	"postern/internal/store/redis/holds/record"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

func held(n int) quarantine.Hold {
	h := storetest.Hold(n, "b")
	h.State = quarantine.Held
	return h
}

func keys(h quarantine.Hold) []string {
	var out []string
	for _, e := range index.Entries(h) {
		out = append(out, e.Key)
	}
	slices.Sort(out)
	return out
}

func TestEntries(t *testing.T) {
	h := held(1)
	h.Subject, h.To = "Hello hello World", []string{"a@Example.com", "b@example.com", "local"}
	h.Reasons = append(h.Reasons, h.Reasons[0])
	want := []string{
		"due", "state:held", "sc:held:inbound", "from:" + conn.Hash("sender@example.org"), "dom:" + conn.Hash("example.org"), "sym:" + conn.Hash("SPF_FAIL"),
		"to:" + conn.Hash("a@example.com"), "to:" + conn.Hash("b@example.com"), "to:" + conn.Hash("@example.com"), "to:" + conn.Hash("local"),
		"w:" + conn.Hash("hello"), "w:" + conn.Hash("world"),
	}
	slices.Sort(want)
	if d := diff.Diff(want, keys(h)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	for _, e := range index.Entries(h) {
		if e.Key == index.Due {
			if e.Score != h.Expires.UnixMilli() || record.Unpack(e.Member) != h.ID {
				t.Errorf("%+v", e)
			}
		} else if e.Score != 0 || index.EntryID(e.Key, e.Member) != h.ID {
			t.Errorf("%+v", e)
		}
	}
}

func TestEntriesFollowState(t *testing.T) {
	at := storetest.Start
	for state, want := range map[quarantine.State]index.Entry{
		quarantine.Provisional: {Key: "prov", Score: held(1).At.UnixMilli()}, quarantine.Held: {Key: "due", Score: held(1).Expires.UnixMilli()},
		quarantine.Refused: {Key: "due", Score: held(1).Expires.UnixMilli()}, quarantine.Releasing: {Key: "next", Score: at.UnixMilli()},
		quarantine.Released: {Key: "ended", Score: at.UnixMilli()}, quarantine.Deleted: {Key: "ended", Score: at.UnixMilli()}, quarantine.Expired: {Key: "ended", Score: at.UnixMilli()},
	} {
		h := held(1)
		h.State = state
		if state == quarantine.Releasing {
			h.Release = &quarantine.Release{Next: at}
		}
		if state.Ended() {
			h.Ended = &quarantine.Ended{At: at}
		}
		want.Member = record.Pack(h.ID)
		var byTime []index.Entry
		for _, e := range index.Entries(h) {
			if slices.Contains([]string{index.Provisional, index.Due, index.Next, index.Ended}, e.Key) {
				byTime = append(byTime, e)
			}
		}
		if d := diff.Diff([]index.Entry{want}, byTime); d != "" {
			t.Errorf("%s: -want +got\n%s", state, d)
		}
		if state == quarantine.Provisional && len(index.Entries(h)) != 1 {
			t.Error("a provisional hold stands in a list")
		}
	}
	h := held(1)
	h.State = quarantine.Releasing
	if i := slices.IndexFunc(index.Entries(h), func(e index.Entry) bool { return e.Key == index.Next }); index.Entries(h)[i].Score != 0 {
		t.Error("a release without a time does not come first")
	}
}

func TestGone(t *testing.T) {
	before, now := held(1), held(1)
	now.State = quarantine.Releasing
	var got []string
	for _, e := range index.Gone(before, now) {
		got = append(got, e.Key)
	}
	slices.Sort(got)
	if d := diff.Diff([]string{"due", "sc:held:inbound", "state:held"}, got); d != "" {
		t.Error(d)
	}
	now = held(1)
	now.Expires = now.Expires.Add(time.Hour) // the entry stays, its time changes
	if got := index.Gone(before, now); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCursor(t *testing.T) {
	for n := range 5 {
		m := index.Member(held(n))
		if got, ok := index.Place(index.Cursor(m)); got != m || !ok {
			t.Errorf("%x became %s became %x", m, index.Cursor(m), got)
		}
	}
	for _, bad := range []string{"", "x", "1", "1.", ".", "-1.a-00", "a.b-00"} {
		if m, ok := index.Place(bad); ok {
			t.Errorf("%q is a place: %x", bad, m)
		}
	}
	if index.ID("") != "" || index.ID("short") != "" {
		t.Error("an ID of nothing")
	}
}

// Members are in the order of time, then of IDs.
func TestOrder(t *testing.T) {
	var members []string
	for n := range 300 {
		h := held(n)
		h.At = storetest.Start.Add(time.Duration(n/3) * time.Millisecond)
		members = append(members, index.Member(h))
	}
	if !slices.IsSorted(members) {
		t.Error("the order of members is not that of time")
	}
}

// What a plan matches stands in every way of it: no way can miss it.
func TestWaysHoldWhatMatches(t *testing.T) {
	subjects := []string{"", "Hello World", "Ihre Rechnung", "東京の請求書 invoice"}
	addrs := []string{"", "a@example.org", "B@Example.org", "c@sub.example.org", "local"}
	rapid.Check(t, func(rt *rapid.T) {
		pick := func(from []string, label string) string { return rapid.SampledFrom(from).Draw(rt, label) }
		h := held(rapid.IntRange(0, 9).Draw(rt, "n"))
		h.State = rapid.SampledFrom([]quarantine.State{quarantine.Provisional, quarantine.Held, quarantine.Refused, quarantine.Released}).Draw(rt, "state")
		h.Subject, h.From, h.To = pick(subjects, "subject"), pick(addrs, "from"), []string{pick(addrs, "to")}
		q := quarantine.Query{
			From: pick([]string{"", "<>", "a@example.org", "b@example.org", "@example.org", "local"}, "q.from"), To: pick([]string{"", "a@example.org", "@EXAMPLE.org", "local"}, "q.to"),
			Symbol: pick([]string{"", "SPF_FAIL", "NONE"}, "q.symbol"),
		}
		if w := pick([]string{"", "hello", "rech*", "請", "東京", "*"}, "q.word"); w != "" {
			q.Words = []string{w}
		}
		if rapid.Bool().Draw(rt, "all") {
			q.States = []quarantine.State{quarantine.Held, quarantine.Released, quarantine.Provisional}
		}
		p, ok := index.NewPlan(q, "")
		if !ok || !p.Match(h) {
			return
		}
		has := keys(h)
		for _, way := range p.Ways {
			if !slices.ContainsFunc(way, func(k string) bool { return slices.Contains(has, k) }) {
				rt.Fatalf("%+v matches %+v and is not in %v", q, h, way)
			}
		}
	})
}

func TestNothingCanMatch(t *testing.T) {
	for _, q := range []quarantine.Query{{Words: []string{`"*-`}}, {States: []quarantine.State{quarantine.Provisional}}, {States: []quarantine.State{"flying"}}} {
		if _, ok := index.NewPlan(q, ""); ok {
			t.Errorf("%+v", q)
		}
	}
}

func TestBounds(t *testing.T) {
	in := func(p index.Plan, m string) bool {
		low := p.Min == "-" || m >= p.Min[1:]
		return low && (p.Max == "+" || m < p.Max[1:])
	}
	for n := range 5 {
		m := index.Member(held(n))
		q := quarantine.Query{Since: storetest.Start.Add(time.Second), Until: storetest.Start.Add(3 * time.Second)}
		p, _ := index.NewPlan(q, "")
		if in(p, m) != (n == 1 || n == 2) {
			t.Errorf("hold %d: %v", n, in(p, m))
		}
		p, _ = index.NewPlan(q, index.Member(held(2)))
		if in(p, m) != (n == 1) {
			t.Errorf("hold %d after 2: %v", n, in(p, m))
		}
		p, _ = index.NewPlan(q, index.Member(held(4)))
		if in(p, m) != (n == 1 || n == 2) {
			t.Errorf("hold %d after 4: %v", n, in(p, m))
		}
	}
}

// Walking several indexes in steps gives what walking all at once gives.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sets := make([][]string, rapid.IntRange(1, 4).Draw(rt, "sets"))
		all := map[string]bool{}
		plan := index.Plan{Rising: rapid.Bool().Draw(rt, "rising")}
		order := func(a, b string) int { return strings.Compare(b, a) }
		if plan.Rising {
			order = strings.Compare
		}
		for i := range sets {
			for _, v := range rapid.SliceOfNDistinct(rapid.IntRange(0, 40), 0, 20, rapid.ID).Draw(rt, "members") {
				m := fmt.Sprintf("%03d", v)
				sets[i] = append(sets[i], m)
				all[m] = true
			}
			slices.SortFunc(sets[i], order)
		}
		n, last := rapid.IntRange(1, 7).Draw(rt, "n"), ""
		var got []string
		for {
			read := make([][]string, len(sets))
			for i, s := range sets {
				for _, m := range s {
					if (last == "" || order(m, last) > 0) && len(read[i]) < n {
						read[i] = append(read[i], m)
					}
				}
			}
			members, more := plan.Merge(read, n)
			got = append(got, members...)
			if !more {
				break
			}
			last = members[len(members)-1]
		}
		want := make([]string, 0, len(all))
		for m := range all {
			want = append(want, m)
		}
		slices.SortFunc(want, order)
		if !slices.Equal(want, got) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

// Members by score are in the order of scores, then in that of the others, and their cursors lead
// back to them.
func TestScoreMember(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		some := func(name string) quarantine.Hold {
			h := held(rapid.IntRange(0, 5).Draw(rt, name))
			h.Score = filter.Score(rapid.OneOf(rapid.IntRange(-2, 2), rapid.IntRange(-1e6, 1e6)).Draw(rt, name+" score"))
			return h
		}
		a, b := some("a"), some("b")
		want := cmp.Compare(a.Score, b.Score)
		if want == 0 {
			want = strings.Compare(index.Member(a), index.Member(b))
		}
		ma := index.ScoreMember(a)
		if got := strings.Compare(ma, index.ScoreMember(b)); got != want {
			rt.Errorf("%s and %s: %d, not %d", a.Score, b.Score, got, want)
		}
		if got, ok := index.ScorePlace(index.ScoreCursor(ma)); !ok || got != ma || index.Bare(ma) != index.Member(a) {
			rt.Errorf("%q became %q", index.ScoreCursor(ma), got)
		}
	})
	for _, bad := range []string{"", "s", "1.2.a-00", "s1.2", "s99999999999.1.a-00", index.Cursor(index.Member(held(1)))} {
		if m, ok := index.ScorePlace(bad); ok {
			t.Errorf("%q is a place: %q", bad, m)
		}
	}
	if index.Bare("short") != "" || index.ScoreCursor("short") != "" {
		t.Error("what is no member has a place")
	}
}
