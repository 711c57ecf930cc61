package outcalls_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/abuse/external/told"
	"postern/abuse/notice"
	"postern/cmd/postern/outcalls"
	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
)

// world is the calls over letters and reports that are written down by the test.
type world struct {
	*control.Server
	t       *testing.T
	home    *entities.Memory
	now     time.Time
	waiting map[string]bool
	letters *notice.Desk
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: control.NewServer(), t: t, home: &entities.Memory{}, now: time.Now().UTC().Truncate(time.Second), waiting: map[string]bool{}}
	w.letters = &notice.Desk{Store: w.home, Now: func() time.Time { return w.now }}
	outcalls.Parts{
		Home: w.home, Letters: w.letters, Now: func() time.Time { return w.now },
		Waits: func(_ context.Context, key string, _ time.Time) (bool, error) { return w.waiting[key], nil },
	}.Handle(w.Server)
	return w
}

func (w *world) letter(i int, state string) {
	w.t.Helper()
	n := notice.Notice{ID: fmt.Sprintf("n%03d", i), Case: "A-2026-000001", Kind: "ack", To: fmt.Sprintf("r%d@far.example", i), State: state, Subject: "s", Body: "text", At: w.now.Add(-time.Duration(i) * time.Minute), Sent: w.now.Add(-2 * time.Hour)}
	t := entity.Table[notice.Notice]{Store: w.home, Kind: notice.Kind, ID: func(n *notice.Notice) string { return n.ID }, Keys: func(n *notice.Notice) []entity.Key {
		return []entity.Key{{Index: "all", At: n.At.UnixMilli()}, {Index: "case", Value: n.Case, At: n.At.UnixMilli()}, {Index: "state", Value: n.State, At: n.At.UnixMilli()}}
	}}
	if _, err := t.Create(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) report(i int, way, state string) {
	w.t.Helper()
	sum, _, err := w.home.PutBlob(w.t.Context(), entity.Evidence, strings.NewReader("From: us\r\n\r\nreport\r\n"))
	if err != nil {
		w.t.Fatal(err)
	}
	n := told.Notice{ID: fmt.Sprintf("x-%03d", i), Case: "A-2026-000002", To: "noc@carrier.example", Way: way, Form: "xarf", State: state, At: w.now.Add(-time.Duration(i) * time.Minute), Sum: sum}
	if _, err := told.Table(w.home).Create(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) list(q outcalls.Query) outcalls.Page {
	w.t.Helper()
	var out outcalls.Page
	if err := w.Call(w.t.Context(), "notice.out", q, &out); err != nil {
		w.t.Fatal(err)
	}
	return out
}

func ids(p outcalls.Page) string {
	var out []string
	for _, s := range p.Sent {
		out = append(out, s.ID)
	}
	return strings.Join(out, " ")
}

func TestList(t *testing.T) {
	w := newWorld(t)
	w.letter(1, notice.Sent)
	w.letter(3, notice.Failed)
	w.letter(4, notice.Drafted)
	w.letter(6, notice.Sent)
	w.report(2, "rdap", told.Sent)
	w.report(5, told.ToBody, told.Failed)
	w.report(6, "rdap", told.Barred)
	w.waiting["n001"] = true
	for _, c := range []struct {
		q    outcalls.Query
		want string
	}{
		{outcalls.Query{}, "n001 x-002 n003 x-005 x-006 n006"},
		{outcalls.Query{Sort: outcalls.Letter}, "n001 n003 n006"}, {outcalls.Query{Sort: outcalls.Report}, "x-002 x-006"}, {outcalls.Query{Sort: outcalls.Body}, "x-005"},
		{outcalls.Query{State: outcalls.Waiting}, "n001"}, {outcalls.Query{State: outcalls.Delivered}, "x-002 n006"}, {outcalls.Query{State: outcalls.Bounced}, "n003 x-005"}, {outcalls.Query{State: outcalls.Barred}, "x-006"},
		{outcalls.Query{Case: "a-2026-000002"}, "x-002 x-005 x-006"}, {outcalls.Query{To: "R3@"}, "n003"}, {outcalls.Query{To: "carrier", State: outcalls.Bounced}, "x-005"}, {outcalls.Query{Case: "A-2026-000009"}, ""},
	} {
		if got := ids(w.list(c.q)); got != c.want {
			t.Errorf("%+v: %s, not %s", c.q, got, c.want)
		}
	}
}

// Pages of any size have all of both sorts, each once, those of the same moment too.
func TestPages(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.letter(i/3*1000+i%3, notice.Sent)
		w.report(i/3*1000+i%3, "rdap", told.Sent)
	}
	want := ids(w.list(outcalls.Query{Limit: 100}))
	if n := len(strings.Fields(want)); n != 60 {
		t.Fatal(n)
	}
	for _, limit := range []int{1, 2, 7, 20, 60} {
		var got []string
		q := outcalls.Query{Limit: limit}
		for range 100 {
			p := w.list(q)
			got = append(got, strings.Fields(ids(p))...)
			if q.After = p.Next; q.After == "" {
				break
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("pages of %d: %d entries", limit, len(got))
		}
	}
	var e *control.Error
	for _, after := range []string{"x", "5", "-1:a", "5:", strings.Repeat("9", 40) + ":a"} {
		if err := w.Call(t.Context(), "notice.out", outcalls.Query{After: after}, nil); !errors.As(err, &e) || e.Kind != control.Invalid {
			t.Errorf("%q: %v", after, err)
		}
	}
}

func TestMessage(t *testing.T) {
	w := newWorld(t)
	w.letter(1, notice.Failed)
	w.report(2, "rdap", told.Sent)
	ask := func(call, id string) (m outcalls.Message, kind control.Kind) {
		ctx := people.With(t.Context(), people.Principal{Name: "lea", Role: people.Lead})
		var e *control.Error
		err := w.Call(ctx, call, outcalls.Work{ID: id, Reason: "x"}, &m)
		if errors.As(err, &e) {
			return m, e.Kind
		}
		if err != nil {
			t.Fatal(err)
		}
		return m, ""
	}
	if m, _ := ask("notice.message", "n001"); m.Text != "text" || m.State != outcalls.Bounced || !m.Resend {
		t.Errorf("%+v", m)
	}
	if m, _ := ask("notice.message", "x-002"); m.Text != "From: us\n\nreport\n" || m.Kind != "xarf" || m.State != outcalls.Delivered || m.Resend {
		t.Errorf("%+v", m)
	}
	for _, id := range []string{"x-none", "none"} {
		if _, kind := ask("notice.message", id); kind != control.NotFound {
			t.Error(id, kind)
		}
	}
	if _, kind := ask("notice.resend", "none"); kind != control.NotFound {
		t.Error(kind)
	}
	if err := w.Call(t.Context(), "notice.resend", outcalls.Work{ID: "n001"}, nil); err == nil {
		t.Error("sent again for no reason")
	}
}
