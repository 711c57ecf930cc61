package suspect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/listing/suspect"
	"postern/abuse/sent"
	"postern/abuse/signal"
)

var listed = time.Date(2030, 3, 20, 12, 0, 0, 0, time.UTC)

// written is what is written down: cases, signals and the send log.
type written struct {
	cases   []cases.Case
	signals []signal.Signal
	rows    []sent.Row
	fail    error
	looked  []string
}

func (w *written) Find(_ context.Context, s cases.Search) ([]cases.Case, string, error) {
	n := 0
	_, _ = fmt.Sscan(s.After, &n)
	if n >= len(w.cases) {
		return nil, "", w.fail
	}
	return w.cases[n : n+1], fmt.Sprint(n + 1), w.fail
}

func (w *written) Since(_ context.Context, from time.Time, _ string, _ int) (out []signal.Signal, next string, err error) {
	for _, s := range w.signals {
		if !s.At.Before(from) {
			out = append(out, s)
		}
	}
	return out, "", w.fail
}

func (w *written) ByAccount(_ context.Context, account string, from, to time.Time, _ string, _ int) (out []sent.Row, next string, err error) {
	w.looked = append(w.looked, account)
	for _, r := range w.rows {
		if r.Account == account && !r.At.Before(from) && !r.At.After(to) {
			out = append(out, r)
		}
	}
	return out, "", w.fail
}

func (w *written) find(t *testing.T, subject string) []suspect.Suspect {
	t.Helper()
	all, err := suspect.Finder{Cases: w, Signals: w, Sent: w}.Find(t.Context(), subject, listed)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func names(all []suspect.Suspect) (s string) {
	for _, x := range all {
		s += " " + x.Account
	}
	return strings.TrimSpace(s)
}

func (w *written) mail(account, from string, ago time.Duration, state string, copies int) {
	r := sent.Row{Account: account, From: from, At: listed.Add(-ago)}
	for range copies {
		r.Copies = append(r.Copies, sent.Copy{State: state})
	}
	w.rows = append(w.rows, r)
}

func (w *written) local(id, account string, ago time.Duration, change ...func(*cases.Case)) {
	c := cases.Case{ID: id, Kind: cases.Local, Account: account, Opened: listed.Add(-ago), State: flow.Triage, Reports: 1, Votes: 100}
	for _, f := range change {
		f(&c)
	}
	w.cases = append(w.cases, c)
}

const day = 24 * time.Hour

// What was proved stands before votes, votes before signals; nobody is suspected whose mail did not
// leave in the time, whom people have cleared, or for what others say of us.
func TestRanking(t *testing.T) {
	w := &written{}
	for _, a := range []string{"proved", "voted", "seen", "cleared", "old", "drill", "merged", "listed", "quiet", "late"} {
		w.mail(a+"@x.example", a+"@x.example", 2*day, sent.Delivered, 3)
	}
	w.local("A-1", "voted@x.example", 3*day, func(c *cases.Case) { c.Votes, c.Reports = 700, 12 })
	w.local("A-2", "Proved@X.example", 3*day, func(c *cases.Case) { c.State = flow.Verified })
	w.local("A-3", "cleared@x.example", 3*day, func(c *cases.Case) { c.NoAbuse = true })
	w.local("A-4", "old@x.example", 15*day)
	w.local("A-5", "drill@x.example", day, func(c *cases.Case) { c.Drill = true })
	w.local("A-6", "merged@x.example", day, func(c *cases.Case) { c.MergedInto = "A-1" })
	w.local("A-7", "unsent@x.example", day, func(c *cases.Case) { c.State = flow.Verified })
	w.local("A-8", "refused@x.example", day)
	w.local("A-9", "late@x.example", -day)
	w.mail("unsent@x.example", "unsent@x.example", 15*day, sent.Delivered, 1)
	w.mail("refused@x.example", "refused@x.example", day, sent.Refused, 9)
	add := func(account string, family signal.Family, weight int, detail string) {
		w.signals = append(w.signals, signal.Signal{Account: account, Family: family, Rule: "rule-" + string(family), Weight: weight, At: listed.Add(-day), Detail: detail})
	}
	add("seen@x.example", signal.Traps, 40, "it wrote to a trap")
	add("seen@x.example", signal.Traps, 30, "a weaker one")
	add("listed@x.example", signal.Listings, 15, "named as a cause before")
	add("quiet@x.example", signal.Complaints, -5, "not spam")
	all := w.find(t, "192.0.2.1")
	if names(all) != "proved@x.example seen@x.example voted@x.example" {
		t.Fatalf("%s", names(all))
	}
	if all[0].Case != "A-2" || all[1].Case != "" || all[2].Case != "A-1" || all[0].Messages != 1 || all[0].Copies != 3 {
		t.Errorf("%+v", all)
	}
	text := fmt.Sprint(all)
	for _, part := range []string{"1 messages, 3 copies left through our servers between 2030-03-18T12:00:00Z", "A-2, VERIFIED", "12 complaints, 7.00 votes", "it wrote to a trap"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
	if strings.Contains(text, "a weaker one") {
		t.Error("a rule counts twice")
	}
}

// A listed domain has to do with what left in its name, whoever sent it.
func TestDomain(t *testing.T) {
	w := &written{}
	for _, a := range []string{"ann@x.example", "bob@x.example", "eve@y.example"} {
		w.local("A-"+a, a, day)
	}
	w.mail("ann@x.example", "ann@x.example", day, sent.Delivered, 1)
	w.mail("bob@x.example", "bob@other.example", day, sent.Delivered, 1)
	w.mail("eve@y.example", "news@X.example", day, sent.Delivered, 1)
	if got := names(w.find(t, "x.example")); got != "ann@x.example eve@y.example" {
		t.Error(got)
	}
	if got := names(w.find(t, "192.0.2.1")); got != "ann@x.example bob@x.example eve@y.example" {
		t.Error(got)
	}
	if got := w.find(t, "z.example"); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

// However many there are, a bounded number is looked up, and few are named with few words.
func TestBounds(t *testing.T) {
	w := &written{}
	for i := range 300 {
		a := fmt.Sprintf("a%03d@x.example", i)
		w.mail(a, a, day, sent.Delivered, 1)
		for rule := range 20 {
			w.signals = append(w.signals, signal.Signal{Account: a, Family: signal.Behaviour, Rule: fmt.Sprint("r", rule), Weight: 1, At: listed.Add(-day)})
		}
	}
	all := w.find(t, "192.0.2.1")
	if len(all) != suspect.Most || len(w.looked) > 200 || len(all[0].Facts) != suspect.MaxFacts || all[0].Facts[0].Kind != "mail" {
		t.Errorf("%d named, %d looked up, %+v", len(all), len(w.looked), all[0])
	}
	w.fail = errors.New("away")
	if _, err := (suspect.Finder{Cases: w, Signals: w, Sent: w}).Find(t.Context(), "192.0.2.1", listed); err == nil {
		t.Error("a store that is away is no empty one")
	}
}
