package auditcalls_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"postern/cmd/postern/auditcalls"
	"postern/internal/control"
	"postern/internal/record"
)

// memory is an audit.
type memory struct {
	all   []record.Entry
	fails error
}

func (m *memory) Append(_ context.Context, e record.Entry) (record.Entry, error) {
	e.Seq = int64(len(m.all) + 1)
	m.all = append(m.all, e)
	return e, nil
}

func (m *memory) Entries(_ context.Context, after int64, limit int) ([]record.Entry, error) {
	from := min(int(after), len(m.all))
	return m.all[from:min(from+limit, len(m.all))], m.fails
}

var start = time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)

func filled(n int) *memory {
	m := &memory{}
	for i := range n {
		e := record.Entry{
			Time:   start.Add(time.Duration(i) * time.Minute),
			Actor:  []string{"olga", "Petra (token x)", "postern"}[i%3],
			Action: []string{"release", "list-add", "list-remove", "suspend"}[i%4],
			Object: fmt.Sprintf("thing-%d", i+1),
		}
		if i == 6 {
			e.Note, e.After = "because of Marmalade", json.RawMessage(`{"state":"gone"}`)
		}
		_, _ = m.Append(context.Background(), e)
	}
	return m
}

func server(m *memory) *control.Server {
	s := control.NewServer()
	auditcalls.Handle(s, m)
	return s
}

func find(t *testing.T, s *control.Server, q auditcalls.Query) (out auditcalls.Found) {
	t.Helper()
	if err := s.Call(t.Context(), "audit.find", q, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func numbers(f auditcalls.Found) (out []int64) {
	for _, e := range f.Entries {
		out = append(out, e.Seq)
	}
	return out
}

func TestFind(t *testing.T) {
	s := server(filled(20))
	for _, c := range []struct {
		name string
		q    auditcalls.Query
		want []int64
	}{
		{
			name: "the newest",
			q:    auditcalls.Query{Limit: 3},
			want: []int64{20, 19, 18},
		},
		{
			name: "of somebody, in any case",
			q:    auditcalls.Query{Actor: "PETRA", Limit: 2},
			want: []int64{20, 17},
		},
		{
			name: "of a kind",
			q:    auditcalls.Query{Action: "suspend"},
			want: []int64{20, 16, 12, 8, 4},
		},
		{
			name: "of kinds that begin alike",
			q:    auditcalls.Query{Action: "list-*", Limit: 4},
			want: []int64{19, 18, 15, 14},
		},
		{
			name: "to something",
			q:    auditcalls.Query{Object: "thing-1", Limit: 100, Until: start.Add(11 * time.Minute)},
			want: []int64{11, 10, 1},
		},
		{
			name: "with a word in the note",
			q:    auditcalls.Query{Text: "marmalade"},
			want: []int64{7},
		},
		{
			name: "with a word in what it was after",
			q:    auditcalls.Query{Text: `"gone"`},
			want: []int64{7},
		},
		{
			name: "since a time",
			q:    auditcalls.Query{Since: start.Add(18 * time.Minute)},
			want: []int64{20, 19},
		},
		{
			name: "until a time",
			q:    auditcalls.Query{Until: start.Add(2 * time.Minute)},
			want: []int64{2, 1},
		},
		{
			name: "before a number",
			q:    auditcalls.Query{Before: 3},
			want: []int64{2, 1},
		},
		{
			name: "nothing",
			q:    auditcalls.Query{Actor: "nobody"},
			want: nil,
		},
	} {
		if got := numbers(find(t, s, c.q)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPagesMeetEveryEntryOnce(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 499, 500, 501, 1234} {
		s := server(filled(n))
		var got []int64
		q := auditcalls.Query{Limit: 100}
		for rounds := 0; rounds < 100; rounds++ {
			f := find(t, s, q)
			if f.Last != int64(n) {
				t.Errorf("of %d the last is %d", n, f.Last)
			}
			got = append(got, numbers(f)...)
			if q.Before = f.Next; q.Before == 0 {
				break
			}
		}
		if len(got) != n {
			t.Errorf("%d of %d", len(got), n)
		}
		for i, seq := range got {
			if seq != int64(n-i) {
				t.Fatalf("of %d: %d stands at %d", n, seq, i)
			}
		}
	}
}

// A look reads so many entries and no more, and says how far it came.
func TestALookIsBounded(t *testing.T) {
	s := server(filled(25_000))
	q := auditcalls.Query{Object: "thing-7", Until: start.Add(7 * time.Minute)}
	rounds := 0
	for {
		rounds++
		f := find(t, s, q)
		if len(f.Entries) == 1 {
			if f.Entries[0].Seq != 7 {
				t.Errorf("%+v", f.Entries)
			}
			break
		}
		if f.Next == 0 || rounds > 5 {
			t.Fatalf("it was not found in %d rounds", rounds)
		}
		q.Before = f.Next
	}
	if rounds != 3 {
		t.Errorf("%d rounds", rounds)
	}
}

func TestRefused(t *testing.T) {
	m := filled(3)
	s := server(m)
	var e *control.Error
	if err := s.Call(t.Context(), "audit.find", auditcalls.Query{Limit: auditcalls.MaxLimit + 1}, nil); !errors.As(err, &e) || e.Kind != control.Invalid {
		t.Error(err)
	}
	m.fails = errors.New("away")
	if err := s.Call(t.Context(), "audit.find", auditcalls.Query{}, nil); err == nil {
		t.Error("found without a store")
	}
}

// sealed is an audit as it is written.
func sealed(t *testing.T, n int) *memory {
	t.Helper()
	m := &memory{}
	var last record.Entry
	for i := range n {
		e, err := record.Seal(last, record.Entry{
			Time:   start.Add(time.Duration(i) * time.Second),
			Actor:  "olga",
			Action: "release",
			Object: fmt.Sprint(i),
		})
		if err != nil {
			t.Fatal(err)
		}
		m.all = append(m.all, e)
		last = e
	}
	return m
}

func walk(t *testing.T, m *memory) (p auditcalls.Part, rounds int) {
	t.Helper()
	s := server(m)
	for !p.Over {
		rounds++
		if err := s.Call(t.Context(), "audit.part", p, &p); err != nil {
			t.Fatal(err)
		}
	}
	return p, rounds
}

func TestTheChainPartByPart(t *testing.T) {
	m := sealed(t, 4500)
	p, rounds := walk(t, m)
	if p.Broken != "" || p.Seq != 4500 || p.Last != 4500 || p.Hash != m.all[4499].Hash {
		t.Errorf("%+v", p)
	}
	if rounds != 3 {
		t.Errorf("%d parts", rounds)
	}
	m.all[3000].Object = "changed"
	if p, _ = walk(t, m); p.Broken != "audit entry 3001: was changed after it was written" || p.Seq != 3000 {
		t.Errorf("%+v", p)
	}
	m = sealed(t, 20)
	m.all = slices.Delete(m.all, 9, 10)
	if p, _ = walk(t, m); p.Broken != "audit entry 10: is missing; entry 11 comes next" {
		t.Errorf("%+v", p)
	}
	if p, _ = walk(t, &memory{}); p.Broken != "" || p.Seq != 0 {
		t.Errorf("%+v", p)
	}
}
