package casefile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/casefile"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
	"postern/internal/record"
)

var monday = time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)

// log is a send log of one account.
type log struct {
	sent.Store
	rows []sent.Row
	fail error
}

func (l *log) BySerial(_ context.Context, serial string) (sent.Row, error) {
	for _, r := range l.rows {
		if r.Serial == serial {
			return r, l.fail
		}
	}
	return sent.Row{}, sent.ErrNotFound
}

func (l *log) ByAccount(_ context.Context, account string, from, to time.Time, cursor string, _ int) (rows []sent.Row, next string, err error) {
	for _, r := range l.rows {
		if r.Account == account && !r.At.Before(from) && !r.At.After(to) {
			rows = append(rows, r)
		}
	}
	if cursor == "" && len(rows) > 1 { // two pages, to see that both are read
		return rows[:1], "more", l.fail
	}
	return rows[min(1, len(rows)):], "", l.fail
}

// accounts keeps no record.
type accounts struct{ abuse.Store }

func (accounts) AccountRevision(context.Context) (uint64, error) { return 1, nil }
func (accounts) Accounts(context.Context) ([]abuse.Account, uint64, error) {
	return []abuse.Account{{Name: "slow@example.com", State: abuse.Active, Level: abuse.M1, Measure: "m", Version: 1}}, 1, nil
}

// carrier is a connector that carries some levels.
type carrier struct{ measure.Connector }

func (carrier) Name() string { return "directory" }
func (carrier) Capabilities() measure.Capabilities {
	return measure.Capabilities{Levels: []abuse.Level{abuse.M3, abuse.M5}}
}

type holds struct{}

func (holds) Rescan(context.Context, string) (bool, string, error) { return false, "", nil }
func (holds) Release(context.Context, string, string) error        { return nil }
func (holds) Keep(context.Context, string, string) error           { return nil }
func (holds) Held(context.Context, string, int) ([]string, error)  { return []string{"h1", "h2"}, nil }

type world struct {
	t       *testing.T
	desk    *cases.Desk
	log     *log
	server  *control.Server
	entries []record.Entry
	reads   int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return monday }
	home := &entities.Memory{}
	home.Now = clock
	w := &world{t: t, log: &log{}, server: control.NewServer()}
	audit := func(_ context.Context, actor, action, object string, _, _ any, note string) error {
		w.entries = append(w.entries, record.Entry{
			Seq:    int64(len(w.entries) + 1),
			Time:   monday,
			Actor:  actor,
			Action: action,
			Object: object,
			Note:   note,
		})
		return nil
	}
	w.desk = &cases.Desk{Entities: home, Now: clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set }, Audit: audit, Alarm: func(context.Context, cases.Alarm) {}}
	acc, err := abuse.NewAccounts(t.Context(), accounts{}, clock, slog.New(slog.DiscardHandler), func(context.Context, abuse.Change) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	measures := measure.New(measure.Parts{
		Store: home, Accounts: acc, Connectors: []measure.Connector{carrier{}}, Held: holds{}, Audit: audit, Now: clock,
		Protected: func(a string) bool { return a == "abuse@example.com" }, Population: func(string) int { return 40 },
	})
	casefile.Parts{Desk: w.desk, Sent: w.log, Measures: measures, Now: clock, Entries: func(_ context.Context, after int64, limit int) ([]record.Entry, error) {
		w.reads++
		i := min(int(after), len(w.entries))
		return w.entries[i:min(i+limit, len(w.entries))], nil
	}}.Handle(w.server)
	return w
}

func call[R any](w *world, ctx context.Context, name string, params any) (out R, err error) {
	w.t.Helper()
	err = w.server.Call(ctx, name, params, &out)
	return out, err
}

func must[R any](w *world, name string, params any) R {
	w.t.Helper()
	out, err := call[R](w, w.t.Context(), name, params)
	if err != nil {
		w.t.Fatalf("%s %v: %v", name, params, err)
	}
	return out
}

// kind is how a call was refused.
func kind(err error) control.Kind {
	var e *control.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func (w *world) report(id, account string, grade int) cases.Case {
	w.t.Helper()
	c, err := w.desk.Attach(w.t.Context(), cases.Complaint{
		Report: id, At: monday, Raw: strings.Repeat("a", 64), Grade: grade, Account: account, Serial: "serial-" + id, Copy: "copy-" + id, Accepted: 3, Votes: 100,
		Client: netip.MustParseAddrPort("203.0.113.7:51514"), Login: account, SentAt: monday.Add(-time.Hour), Trust: 1, Person: true, Reporter: "r@example.net",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestCounts(t *testing.T) {
	w := newWorld(t)
	for i := range 5 {
		w.report(fmt.Sprint("r", i), fmt.Sprintf("user%d@example.com", i), 4)
	}
	c := w.report("r9", "user9@example.com", 4)
	as := people.With(t.Context(), people.Principal{Name: "anna", Role: people.Agent})
	if _, err := w.desk.Assign(t.Context(), cases.Actor{Name: "anna", Role: "agent"}, c.ID, "anna"); err != nil {
		t.Fatal(err)
	}
	got, err := call[casefile.Counts](w, as, "case.counts", struct{}{})
	if err != nil || got.Most != casefile.MaxCount {
		t.Fatal(got, err)
	}
	for view, want := range map[string]int{"queue": 6, "mine": 1, "unowned": 5, "contained": 0, "p0": 0} {
		if n, ok := got.Views[view]; !ok || n != want {
			t.Errorf("%s: %d, not %d", view, n, want)
		}
	}
	auditor := people.With(t.Context(), people.Principal{Name: "iris", Role: people.Auditor})
	got, err = call[casefile.Counts](w, auditor, "case.counts", struct{}{})
	if _, ok := got.Views["mine"]; err != nil || ok {
		t.Errorf("who has no cases is counted some: %v %v", got, err)
	}
}

func TestSimilar(t *testing.T) {
	w := newWorld(t)
	one := w.report("r1", "anna@example.com", 4)
	other := w.report("r2", "bert@example.com", 4)
	w.report("r3", "carl@elsewhere.example", 4)
	got := must[casefile.Similar](w, "case.similar", casefile.ID{ID: one.ID})
	if len(got.Cases) != 1 || got.Cases[0].Case.ID != other.ID || got.Cases[0].By != "domain" {
		t.Errorf("%+v", got)
	}
	if _, err := call[casefile.Similar](w, t.Context(), "case.similar", casefile.ID{ID: "A-2026-999999"}); kind(err) != control.NotFound {
		t.Error(err)
	}
}

func TestSendLog(t *testing.T) {
	w := newWorld(t)
	c := w.report("r1", "anna@example.com", 4)
	w.report("r2", "anna@example.com", 4)
	row := sent.Row{
		Serial:  "serial-r1",
		At:      monday.Add(-time.Hour),
		Account: "anna@example.com",
	}
	for i := range 30 {
		row.Copies = append(row.Copies, sent.Copy{Recipient: fmt.Sprintf("r%d@isp.example", i), State: []string{sent.Delivered, sent.Refused, sent.Waiting}[i%3]})
	}
	w.log.rows = []sent.Row{row}
	got := must[casefile.SentOf](w, "case.sent", casefile.ID{ID: c.ID})
	if len(got.Messages) != 2 {
		t.Fatalf("%+v", got)
	}
	m := got.Messages[0]
	if !m.Known || m.Copies != 30 || m.Accepted != 10 || len(m.Row.Copies) != 20 || m.States[sent.Waiting] != 10 {
		t.Errorf("%+v", m)
	}
	if m = got.Messages[1]; m.Known || m.Row != nil || m.Serial != "serial-r2" {
		t.Errorf("of a message that the log has forgotten: %+v", m)
	}
	w.log.fail = errors.New("the store is away")
	if _, err := call[casefile.SentOf](w, t.Context(), "case.sent", casefile.ID{ID: c.ID}); err == nil {
		t.Error("a fault is told as if nothing was there")
	}
}

func TestLogOfACase(t *testing.T) {
	w := newWorld(t)
	for i := range 5000 { // what happened long before
		w.entries = append(w.entries, record.Entry{
			Seq:    int64(i + 1),
			Time:   monday.Add(-time.Duration(5000-i) * time.Hour),
			Action: "list-add",
			Object: "anna@example.com",
		})
	}
	c := w.report("r1", "anna@example.com", 4)
	w.entries = append(w.entries, record.Entry{
		Seq:    int64(len(w.entries) + 1),
		Time:   monday,
		Actor:  "olga",
		Action: "complaint-view",
		Object: "r1",
	})
	w.entries = append(w.entries, record.Entry{
		Seq:    int64(len(w.entries) + 1),
		Time:   monday,
		Actor:  "olga",
		Action: "suspend",
		Object: "anna@example.com",
	})
	w.entries = append(w.entries, record.Entry{
		Seq:    int64(len(w.entries) + 1),
		Time:   monday,
		Actor:  "olga",
		Action: "suspend",
		Object: "bert@example.com",
	})
	got := must[casefile.Log](w, "case.log", casefile.LogOf{ID: c.ID})
	var about []string
	for _, e := range got.Entries {
		about = append(about, e.Object)
	}
	if got.Next != 0 || !slices.Contains(about, "r1") || !slices.Contains(about, c.ID) || !slices.Contains(about, "anna@example.com") || slices.Contains(about, "bert@example.com") {
		t.Error(about, got.Next)
	}
	if slices.ContainsFunc(got.Entries, func(e record.Entry) bool { return e.Action == "list-add" }) {
		t.Error("it begins before the case does")
	}
	if w.reads > 60 {
		t.Errorf("%d looks into the trail for a case of just now", w.reads)
	}
	for range 300 {
		w.entries = append(w.entries, record.Entry{
			Seq:    int64(len(w.entries) + 1),
			Time:   monday,
			Action: "comment",
			Object: c.ID,
		})
	}
	first := must[casefile.Log](w, "case.log", casefile.LogOf{ID: c.ID})
	second := must[casefile.Log](w, "case.log", casefile.LogOf{ID: c.ID, After: first.Next})
	if len(first.Entries) != 200 || first.Next == 0 || second.Next != 0 || second.Entries[0].Seq != first.Entries[199].Seq+1 {
		t.Errorf("%d entries, then from %d: %d", len(first.Entries), first.Next, len(second.Entries))
	}
}

func TestPreview(t *testing.T) {
	w := newWorld(t)
	for i, age := range []time.Duration{time.Hour, 23 * time.Hour, 25 * time.Hour, 6 * 24 * time.Hour} {
		w.log.rows = append(w.log.rows, sent.Row{
			Serial:  fmt.Sprint(i),
			At:      monday.Add(-age),
			Account: "anna@example.com",
			Copies:  []sent.Copy{{State: sent.Delivered}, {State: sent.Waiting}},
		})
	}
	got := must[casefile.Preview](w, "measure.whatif", calls.MeasureAsk{Account: "Anna@example.com", Level: "suspend", Hours: 2})
	if got.Target != "anna@example.com" || got.Level != "M3" || got.Now != "M0" || got.Two || got.Messages != 2 || got.Recipients != 4 || got.Waiting != 3 || got.Held != 2 || !slices.Equal(got.Connectors, []string{"directory"}) {
		t.Errorf("%+v", got)
	}
	if !got.Until.Equal(monday.Add(2*time.Hour)) || !got.Review.IsZero() {
		t.Errorf("it ends %s, is reviewed %s", got.Until, got.Review)
	}
	got = must[casefile.Preview](w, "measure.whatif", calls.MeasureAsk{Account: "slow@example.com", Level: "M5"})
	if got.Now != "M1" || !got.Two || !got.Until.IsZero() || got.Review.IsZero() || got.Messages != 0 {
		t.Errorf("%+v", got)
	}
	got = must[casefile.Preview](w, "measure.whatif", calls.MeasureAsk{Domain: "example.com", Level: "M2"})
	if !got.Unknown || got.Accounts != 40 || !got.Two || got.Target != "@example.com" || len(got.Connectors) != 0 {
		t.Errorf("%+v", got)
	}
	if got = must[casefile.Preview](w, "measure.whatif", calls.MeasureAsk{Account: "abuse@example.com", Level: "M1"}); !got.Protected {
		t.Errorf("%+v", got)
	}
	seen := map[string]bool{}
	for l := abuse.M0; l <= abuse.M5; l++ {
		p := must[casefile.Preview](w, "measure.whatif", calls.MeasureAsk{Account: "anna@example.com", Level: l.String()})
		if p.Sees == "" || p.Undo == "" || seen[p.Sees] {
			t.Errorf("%s: %+v", l, p)
		}
		seen[p.Sees] = true
	}
	for name, ask := range map[string]calls.MeasureAsk{
		"no level": {Account: "a@example.com"}, "nobody": {Level: "M1"}, "both": {Account: "a@example.com", Domain: "example.com", Level: "M1"},
		"for ever": {Account: "a@example.com", Level: "M1", Hours: 1e9}, "backwards": {Account: "a@example.com", Level: "M1", Hours: -1}, "domain level": {Account: "a@example.com", Level: "M6"},
	} {
		if _, err := call[casefile.Preview](w, t.Context(), "measure.whatif", ask); kind(err) != control.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
