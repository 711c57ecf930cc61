package abusedesk_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/cmd/postern/accountcalls"
	"postern/internal/control"
	"postern/internal/said"
)

// sentLog is a send log in memory, oldest first.
type sentLog struct {
	sent.Store
	rows []sent.Row
	by   map[string][]int
}

func (l *sentLog) send(account string, at time.Time, recipients int) {
	r := sent.Row{Serial: strconv.Itoa(len(l.rows)), At: at, Account: account, Client: netip.MustParseAddrPort("198.51.100.7:4000"), Action: "accept"}
	for i := range recipients {
		r.Copies = append(r.Copies, sent.Copy{Recipient: fmt.Sprintf("r%d@far.example", i), State: sent.Delivered})
	}
	if l.by == nil {
		l.by = map[string][]int{}
	}
	l.by[account] = append(l.by[account], len(l.rows))
	l.rows = append(l.rows, r)
}

func (l *sentLog) Since(_ context.Context, cursor string, limit int) ([]sent.Row, string, error) {
	n, _ := strconv.Atoi(cursor)
	to := min(n+limit, len(l.rows))
	return l.rows[n:to], strconv.Itoa(to), nil
}

func (l *sentLog) ByAccount(_ context.Context, account string, from, to time.Time, _ string, _ int) (out []sent.Row, _ string, _ error) {
	for _, i := range slices.Backward(l.by[account]) {
		if r := l.rows[i]; !r.At.Before(from) && !r.At.After(to) {
			out = append(out, r)
		}
	}
	return out, "", nil
}

// calls are those about the accounts of a world.
func (w *world) calls() *control.Server {
	s := control.NewServer()
	w.measures.Handle(s)
	w.desk.Handle(s)
	return s
}

func ask[R any](w *world, s *control.Server, name string, params any) (out R) {
	w.t.Helper()
	w.must(s.Call(w.t.Context(), name, params, &out))
	return out
}

func names(f accountcalls.Found) (out []string) {
	for _, a := range f.Accounts {
		out = append(out, a.Name)
	}
	return out
}

func TestFindAccounts(t *testing.T) {
	log := &sentLog{}
	w := newWorld(t, log)
	w.onProbation()
	for day := range 10 {
		log.send("bob@x.example", w.now.AddDate(0, 0, -day-2), 5)
	}
	log.send("bob@x.example", w.now.Add(-time.Minute), 400)
	log.send("carl@y.example", w.now.Add(-time.Minute), 2)
	w.must(second(w.measures.Desk.Apply(t.Context(), measure.Request{Account: "dora@y.example", Level: abuse.M3, Reason: "spam", Actor: "anna"})))
	s := w.calls()
	for name, c := range map[string]struct {
		q    accountcalls.Search
		want []string
	}{
		"all":             {accountcalls.Search{Sort: "name"}, []string{ann, "bob@x.example", "carl@y.example", "dora@y.example"}},
		"the worst first": {accountcalls.Search{Limit: 2}, []string{"bob@x.example", "dora@y.example"}},
		"by sends":        {accountcalls.Search{Sort: "sends", Limit: 2}, []string{"bob@x.example", "carl@y.example"}},
		"by name":         {accountcalls.Search{Text: " CARL"}, []string{"carl@y.example"}},
		"of a domain":     {accountcalls.Search{Domain: "@Y.example", Sort: "name"}, []string{"carl@y.example", "dora@y.example"}},
		"some measure":    {accountcalls.Search{Level: "measure", Sort: "name"}, []string{ann, "dora@y.example"}},
		"M2 or more":      {accountcalls.Search{Level: "hold"}, []string{"dora@y.example"}},
		"by score":        {accountcalls.Search{Score: 25}, []string{"bob@x.example"}},
		"strikes":         {accountcalls.Search{Strikes: 1}, []string{ann}},
		"on probation":    {accountcalls.Search{Trial: true}, []string{ann}},
		"the second page": {accountcalls.Search{Sort: "name", After: "bob@x.example", Limit: 1}, []string{"carl@y.example"}},
		"none":            {accountcalls.Search{Text: "nobody"}, nil},
	} {
		got := ask[accountcalls.Found](w, s, "account.find", c.q)
		if !slices.Equal(names(got), c.want) || c.q.Limit == 0 && got.Total != len(c.want) {
			t.Errorf("%s: %v of %d", name, names(got), got.Total)
		}
	}
	if got := ask[accountcalls.Found](w, s, "account.find", accountcalls.Search{Sort: "name", Limit: 2}); got.Next != "bob@x.example" || got.Total != 4 {
		t.Errorf("%+v", got)
	}
	// What is in force is that of now, whatever was read before.
	w.must(second(w.measures.Desk.UndoAll(t.Context(), "dora@y.example", "anna", said.Typed("a mistake"), false)))
	if got := ask[accountcalls.Found](w, s, "account.find", accountcalls.Search{Level: "M3"}); got.Total != 0 {
		t.Errorf("lifted and still there: %v", names(got))
	}
	for name, q := range map[string]accountcalls.Search{"no level": {Level: "M9"}, "no order": {Sort: "weight"}, "too many": {Limit: 501}, "less than none": {Limit: -1}, "a long text": {Text: string(make([]byte, 400))}} {
		var e *control.Error
		if err := s.Call(t.Context(), "account.find", q, &struct{}{}); !errors.As(err, &e) || e.Kind != control.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestActivity(t *testing.T) {
	log := &sentLog{}
	w := newWorld(t, log)
	log.send(ann, w.now.Add(-time.Minute), 300)
	w.onProbation()
	w.must(w.measures.Signals.Add(t.Context(), signal.Signal{ID: "v1", Family: signal.Complaints, Rule: "complaint", Account: ann, At: w.now, Weight: 10, Votes: 100, Copy: "c1", SentAt: w.now}))
	w.must(w.measures.Signals.Add(t.Context(), signal.Signal{ID: "v2", Family: signal.Complaints, Rule: "complaint", Account: ann, At: w.now, Weight: 10, Votes: 100, Copy: "c1"}))
	w.must(w.measures.Signals.Add(t.Context(), signal.Signal{ID: "v3", Family: signal.Complaints, Rule: "complaint", Account: ann, At: w.now}))
	w.measures.Logins.Seen(ann, netip.MustParseAddr("198.51.100.7"), true)
	w.now = w.now.Add(2 * 24 * time.Hour)
	s := w.calls()
	got := ask[accountcalls.Activity](w, s, "account.activity", accountcalls.Named{Name: " ANN@x.example"})
	if !got.Known || got.Name != ann || got.Level != "M1" || got.Sends.Month.Recipients != 300 || got.Strikes != 1 || len(got.Cases) != 1 || len(got.Guarantees) != 1 {
		t.Errorf("%+v", got)
	}
	if got.Votes.Proven != 100 || got.Votes.Unproven != 2 || len(got.Votes.Last) != 3 {
		t.Errorf("%+v", got.Votes)
	}
	if x := got.Trial; x == nil || x.Share != 20 || x.Messages < 1 || len(x.Steps) < 3 || x.Steps[0].Share != 20 || x.Steps[len(x.Steps)-1].Share != 100 {
		t.Errorf("%+v", x)
	}
	if len(got.Measures) < 2 || got.Measures[len(got.Measures)-1].Ended == nil {
		t.Errorf("%+v", got.Measures)
	}
	none := ask[accountcalls.Activity](w, s, "account.activity", accountcalls.Named{Name: "nobody@x.example"})
	if none.Known || none.Level != "M0" || none.Logins == nil || none.Cases == nil || none.Trial != nil {
		t.Errorf("%+v", none)
	}
	if err := s.Call(t.Context(), "account.activity", accountcalls.Named{}, &struct{}{}); err == nil {
		t.Error("an account without a name")
	}
}

func TestPreview(t *testing.T) {
	log := &sentLog{}
	w := newWorld(t, log)
	log.send("bob@x.example", w.now.Add(-time.Minute), 30)
	log.send("bob@x.example", w.now.Add(-3*time.Hour), 4)
	log.send("carl@x.example", w.now.Add(-time.Minute), 5)
	log.rows[0].Copies[0].State = sent.Waiting
	s := w.calls()
	got := ask[accountcalls.Impact](w, s, "measure.preview", accountcalls.PreviewAsk{Account: "Bob@x.example", Level: "throttle"})
	if got.Target != "bob@x.example" || got.Level != "M1" || got.Now != "M0" || got.Two || got.Rate == nil || got.Rate.Messages != 20 || got.Hour.Recipients != 30 || got.Day.Recipients != 34 || got.Waiting != 1 || got.Stands || !got.Review.IsZero() {
		t.Errorf("%+v", got)
	}
	if got := ask[accountcalls.Impact](w, s, "measure.preview", accountcalls.PreviewAsk{Account: "bob@x.example", Level: "M2", Hours: 4}); !got.Until.Equal(w.now.Add(4*time.Hour)) || got.Rate != nil {
		t.Errorf("%+v", got)
	}
	w.must(second(w.measures.Desk.Apply(t.Context(), measure.Request{Account: "bob@x.example", Level: abuse.M3, Reason: "spam", Actor: "anna"})))
	if got := ask[accountcalls.Impact](w, s, "measure.preview", accountcalls.PreviewAsk{Account: "bob@x.example", Level: "M5"}); !got.Two || got.Now != "M3" || len(got.Stays) != 1 || got.Stands || got.Review.IsZero() {
		t.Errorf("%+v", got)
	}
	if got := ask[accountcalls.Impact](w, s, "measure.preview", accountcalls.PreviewAsk{Account: "bob@x.example", Level: "M2"}); !got.Stands {
		t.Errorf("%+v", got)
	}
	if got := ask[accountcalls.Impact](w, s, "measure.preview", accountcalls.PreviewAsk{Domain: "x.example", Level: "M3"}); !got.Two || got.Accounts != 2 || got.Hour.Recipients != 35 || got.Day != nil {
		t.Errorf("%+v", got)
	}
	for name, q := range map[string]accountcalls.PreviewAsk{"nobody": {Level: "M1"}, "no level": {Account: "bob"}, "M6 of an account": {Account: "bob", Level: "M6"}, "less than no time": {Account: "bob", Level: "M1", Hours: -1}} {
		if err := s.Call(t.Context(), "measure.preview", q, &struct{}{}); err == nil {
			t.Errorf("%s is no refusal", name)
		}
	}
}

// TestManyAccounts searches as many accounts as POSTERN_ACCOUNTS says and logs how long it took.
func TestManyAccounts(t *testing.T) {
	n := 2000
	if x, err := strconv.Atoi(os.Getenv("POSTERN_ACCOUNTS")); err == nil {
		n = x
	}
	log := &sentLog{}
	w := newWorld(t, log)
	for i := range n {
		log.send(fmt.Sprintf("user%05d@d%d.example", i, i%300), w.now.Add(-time.Duration(i%3600)*time.Second), 1+i%7)
	}
	slices.SortStableFunc(log.rows, func(a, b sent.Row) int { return a.At.Compare(b.At) })
	log.by = map[string][]int{}
	for i, r := range log.rows {
		log.by[r.Account] = append(log.by[r.Account], i)
	}
	s := w.calls()
	timed := func(what, call string, q any) {
		began := time.Now()
		ask[struct{}](w, s, call, q)
		t.Logf("%d accounts, %s: %v", n, what, time.Since(began))
	}
	timed("the first search", "account.find", accountcalls.Search{})
	for range 3 {
		timed("a search", "account.find", accountcalls.Search{})
	}
	timed("a search by text", "account.find", accountcalls.Search{Text: "99@", Sort: "name"})
	timed("a search by domain", "account.find", accountcalls.Search{Domain: "d7.example"})
	timed("one account", "account.activity", accountcalls.Named{Name: "user00007@d7.example"})
	timed("what a measure would do", "measure.preview", accountcalls.PreviewAsk{Domain: "d7.example", Level: "M3"})
	w.now = w.now.Add(time.Minute)
	timed("a search after a minute", "account.find", accountcalls.Search{})
	if got := ask[accountcalls.Found](w, s, "account.find", accountcalls.Search{}); got.Total != n {
		t.Error(got.Total)
	}
}
