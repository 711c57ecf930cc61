package tracecalls_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/sent"
	"postern/cmd/postern/tracecalls"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/people"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/rules"
)

// table is traffic in memory that looks at a few rows at a time.
type table struct {
	record.Traffic
	rows []record.Row // newest first
	look int
	asks []record.Trace
}

func (t *table) Find(_ context.Context, q record.Trace) (p record.Page, err error) {
	t.asks = append(t.asks, q)
	seen := 0
	for _, r := range t.rows {
		if q.After != "" && r.ID >= q.After {
			continue
		}
		if seen++; seen > t.look || len(p.Rows) == q.PageSize() {
			return p, nil
		}
		if matches(r, q) {
			p.Rows = append(p.Rows, r)
		}
		p.Next = r.ID
	}
	p.Next = ""
	return p, nil
}

func matches(r record.Row, q record.Trace) bool {
	id, _, _ := strings.Cut(q.ID, "-")
	at := func(whole, part string) bool {
		return part == "" || whole == part || part[0] == '@' && strings.HasSuffix(whole, part)
	}
	return (id == "" || r.ID == id) && at(r.From, q.From) && (q.To == "" || slices.ContainsFunc(r.To, func(f record.Fate) bool { return at(f.Address, q.To) })) &&
		(q.MessageID == "" || q.MessageID == r.MessageID) && (q.Direction == "" || q.Direction == r.Direction)
}

type holds map[string]quarantine.Hold

func (h holds) Get(_ context.Context, id string) (quarantine.Hold, error) {
	one, ok := h[id]
	if !ok {
		return one, quarantine.ErrNotFound
	}
	return one, nil
}

type owed map[string]outbox.Entry

func (o owed) Get(_ context.Context, id string) (outbox.Entry, error) {
	one, ok := o[id]
	if !ok {
		return one, outbox.ErrNotFound
	}
	return one, nil
}

type sentLog struct {
	sent.Store
	rows map[string]sent.Row
}

func (l sentLog) BySerial(_ context.Context, serial string) (sent.Row, error) {
	r, ok := l.rows[serial]
	if !ok {
		return r, sent.ErrNotFound
	}
	return r, nil
}

func world(t *testing.T) (*table, *control.Server) {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	tab := &table{look: 1000}
	for i := range 20 {
		r := record.Row{ID: fmt.Sprintf("id%02d", 20-i), Direction: "inbound", From: "s@far.example", To: []record.Fate{{Address: "a@here.example", State: "delivered"}}, Time: noon, Symbols: []string{}}
		if i%2 == 0 {
			r.Direction, r.From, r.To[0].Address, r.Account = "outbound", "a@here.example", "s@far.example", "a@here.example"
		}
		tab.rows = append(tab.rows, r)
	}
	last := &tab.rows[0]
	last.Symbols, last.Weights = []string{"SPF_FAIL", "NO_SUCH"}, []int32{150, 0}
	last.To = []record.Fate{{Address: "x@far.example", State: "held", Hold: "h1"}, {Address: "y@far.example", State: "held", Hold: "h1"}, {Address: "z@far.example", State: "held", Hold: "gone"},
		{Address: "v@far.example", State: "outbox", Hold: "o1"}, {Address: "w@far.example", State: "outbox", Hold: "o2"}}
	s := control.NewServer()
	tracecalls.Parts{
		Now: func() time.Time { return noon }, Traffic: tab, Rules: func() *rules.Set { return set },
		Holds:  holds{"h1": {ID: "h1", To: []string{"x@far.example", "y@far.example"}, State: quarantine.Released, Ended: &quarantine.Ended{At: noon, By: "olga", Reply: "250 ok"}}},
		Outbox: owed{"o1": {ID: "o1", Attempts: 3, LastReply: "451 later", To: []filter.Recipient{{Address: "v@far.example"}}}},
		Sent:   sentLog{rows: map[string]sent.Row{"id20": {Serial: "id20", QueueID: "Q1"}}},
		Token:  func(_ context.Context, text string) (string, bool) { return "id07", strings.HasPrefix(text, "v1.") },
		Cases: func(_ context.Context, account string) ([]tracecalls.Case, error) {
			return []tracecalls.Case{{ID: "A-1", State: "S0"}}, nil
		},
	}.Handle(s)
	return tab, s
}

func ask(t *testing.T, s *control.Server, a tracecalls.Ask) tracecalls.Found {
	t.Helper()
	var f tracecalls.Found
	if err := s.Call(t.Context(), "trace", a, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func ids(f tracecalls.Found) string {
	var out []string
	for _, r := range f.Rows {
		out = append(out, r.ID)
	}
	return strings.Join(out, " ")
}

// TestPages has the pages of a text that means several searches come whole, in order, each
// message once, however little a look covers.
func TestPages(t *testing.T) {
	for _, look := range []int{1000, 7, 3, 1} {
		tab, s := world(t)
		tab.look = look
		a := tracecalls.Ask{Text: "a@here.example", Trace: record.Trace{Limit: 3}}
		var all []string
		for range 100 {
			f := ask(t, s, a)
			if len(f.Rows) > 3 {
				t.Fatal(ids(f))
			}
			all = append(all, strings.Fields(ids(f))...)
			if a.After = f.Next; a.After == "" {
				break
			}
		}
		var want []string
		for _, r := range tab.rows {
			want = append(want, r.ID)
		}
		if want = want[1:]; !slices.Equal(all, append([]string{"id20"}, want...)) {
			t.Errorf("look of %d: %v", look, all)
		}
	}
}

func TestToken(t *testing.T) {
	_, s := world(t)
	f := ask(t, s, tracecalls.Ask{Text: "v1.aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})
	if ids(f) != "id07" || len(f.Read) != 1 || f.Read[0].Fields[0] != "token" {
		t.Errorf("%+v", f)
	}
}

// TestWithin has a search kept to mail of some domains: to them, or sent from them.
func TestWithin(t *testing.T) {
	tab, s := world(t)
	tab.rows[4].From, tab.rows[5].To[0].Address = "b@other.example", "b@other.example"
	f := ask(t, s, tracecalls.Ask{Within: []string{"other.example"}})
	if ids(f) != "id16 id15" {
		t.Error(ids(f))
	}
	if f = ask(t, s, tracecalls.Ask{Within: []string{"other.example"}, Text: "to:a@here.example"}); ids(f) != "" {
		t.Error(ids(f))
	}
	if f = ask(t, s, tracecalls.Ask{Within: []string{"other.example"}, Text: "to:b@other.example"}); ids(f) != "id15" {
		t.Error(ids(f))
	}
	var e *control.Error
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf("d%d.example", i)
	}
	if err := s.Call(t.Context(), "trace", tracecalls.Ask{Within: many}, nil); !errors.As(err, &e) || e.Kind != control.Invalid {
		t.Error(err)
	}
}

func TestShow(t *testing.T) {
	_, s := world(t)
	show := func(ctx context.Context, id string) (told tracecalls.Told, err error) {
		err = s.Call(ctx, "trace.show", tracecalls.One{ID: id}, &told)
		return told, err
	}
	got, err := show(t.Context(), "id20")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Holds) != 2 || got.Holds[0].By != "olga" || got.Holds[0].Reply != "250 ok" || !got.Holds[1].Gone {
		t.Errorf("holds: %+v", got.Holds)
	}
	if len(got.Waiting) != 1 || got.Waiting[0].Attempts != 3 || got.Waiting[0].To[0] != "v@far.example" {
		t.Errorf("outbox: %+v", got.Waiting)
	}
	if len(got.Reasons) != 2 || got.Reasons[0].Weight != 150 || got.Reasons[0].Describe == "" || got.Reasons[1].Describe != "" {
		t.Errorf("reasons: %+v", got.Reasons)
	}
	if got.Sent == nil || got.Sent.QueueID != "Q1" || len(got.Cases) != 1 {
		t.Errorf("%+v %+v", got.Sent, got.Cases)
	}
	blind := people.With(t.Context(), people.Principal{Name: "x", Role: people.DomainAdmin, Scopes: []people.Scope{people.TraceRead}})
	if got, err = show(blind, "id20"); err != nil || len(got.Cases) != 0 {
		t.Errorf("cases of somebody who may not see them: %+v %v", got.Cases, err)
	}
	for id, kind := range map[string]control.Kind{"": control.Invalid, "none": control.NotFound} {
		var e *control.Error
		if _, err := show(t.Context(), id); !errors.As(err, &e) || e.Kind != kind {
			t.Errorf("%q: %v", id, err)
		}
	}
}
