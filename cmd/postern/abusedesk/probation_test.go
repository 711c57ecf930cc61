package abusedesk_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/guarantee"
	"postern/abuse/intake/shelf"
	"postern/abuse/measure"
	"postern/abuse/measure/shadow"
	"postern/abuse/proof"
	"postern/abuse/sent"
	"postern/abuse/signal"
	"postern/cmd/postern/abusedesk"
	"postern/internal/config"
	"postern/internal/entity"
	"postern/internal/mailtest/accounts"
	"postern/internal/mailtest/entities"
)

// nothingSent is an empty send log.
type nothingSent struct{ sent.Store }

func (nothingSent) Since(context.Context, string, int) ([]sent.Row, string, error) {
	return nil, "", nil
}

type world struct {
	t        *testing.T
	now      time.Time
	home     *entities.Memory
	accounts *abuse.Accounts
	desk     *abusedesk.Desk
	measures *abusedesk.Measures
	events   map[string]string
}

const ann = "ann@x.example"

var (
	anna  = cases.Actor{Name: "anna", Role: flow.Agent}
	boris = cases.Actor{Name: "boris", Role: flow.Agent}
)

func newWorld(t *testing.T, logs ...sent.Store) *world {
	w := &world{t: t, now: time.Date(2030, 3, 4, 10, 0, 0, 0, time.UTC), events: map[string]string{}}
	clock := func() time.Time { return w.now }
	w.home = &entities.Memory{Now: clock}
	log := slog.New(slog.DiscardHandler)
	var err error
	if w.accounts, err = abuse.NewAccounts(t.Context(), &accounts.Memory{}, clock, log, nil); err != nil {
		t.Fatal(err)
	}
	parts := abusedesk.Parts{
		Entities: w.home, Now: clock, Log: log,
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
		Event: func(key, text string, over bool) {
			if delete(w.events, key); !over {
				w.events[key] = text
			}
		},
	}
	if w.desk, err = abusedesk.New(parts); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.State, cfg.Abuse.Measures.Mode = t.TempDir(), "on"
	var send sent.Store = nothingSent{}
	if len(logs) > 0 {
		send = logs[0]
	}
	w.measures = abusedesk.NewMeasures(parts, w.desk, abusedesk.MeasureParts{Config: cfg, Accounts: w.accounts, Sent: send})
	w.enable()
	return w
}

// enable has all rules act, as after 14 days of looking on.
func (w *world) enable() {
	at := w.now.AddDate(0, 0, -15)
	rules := &shadow.Rules{Store: w.home, For: 14 * 24 * time.Hour, Now: func() time.Time { return at }, Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
	var all []signal.Signal
	for _, name := range append(behaviour.Rules(), "complaint", "trap", "listing") {
		all = append(all, signal.Signal{Rule: name})
	}
	w.must(second(rules.Known(w.t.Context(), all)))
	at = w.now
	for _, s := range all {
		w.must(second(rules.Enable(w.t.Context(), s.Rule, "root")))
	}
}

func second[T any](_ T, err error) error { return err }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) tend() {
	w.t.Helper()
	w.must(w.measures.Switch.Look(w.t.Context()))
	w.must(w.measures.Tend(w.t.Context()))
	w.must(w.desk.Tend(w.t.Context()))
}

// onProbation is the case of an account that came back on a guarantee.
func (w *world) onProbation() string {
	w.t.Helper()
	ctx := w.t.Context()
	c, err := w.desk.Cases.Attach(ctx, cases.Complaint{
		Report: "r1", At: w.now, Raw: strings.Repeat("a", 64), Grade: 4, Account: ann, Serial: "s", Copy: "c", Accepted: 1, Votes: 100,
		Client: netip.MustParseAddrPort("203.0.113.7:51514"), SentAt: w.now, Person: true, Trust: 1,
	})
	w.must(err)
	w.must(second(w.desk.Cases.SetCategories(ctx, anna, c.ID, []cases.Category{"S1"})))
	w.must(second(w.desk.Cases.Move(ctx, anna, c.ID, cases.Request{To: flow.Verified, Reason: "seen"})))
	m, err := w.measures.Desk.Apply(ctx, measure.Request{Account: ann, Level: abuse.M3, Reason: "spam", Actor: "anna", Case: c.ID})
	w.must(err)
	w.must(second(w.desk.Cases.Move(ctx, anna, c.ID, cases.Request{To: flow.Suspended, Reason: "stop", Measure: m.ID, Level: 3})))
	w.now = w.now.Add(time.Hour)
	p, err := w.desk.Office.New(ctx, anna, c.ID, guarantee.Form{Company: "Acme", Scope: guarantee.Mailbox, Covers: ann, Signer: "A. Director", Contact: "it@x.example", Phone: "+86 10 1234", Date: w.now})
	w.must(err)
	for _, part := range guarantee.Parts() {
		w.must(second(w.desk.Office.Upload(ctx, anna, p.ID, part, "scan.pdf", strings.NewReader(string(part)))))
	}
	w.must(second(w.desk.Office.Submit(ctx, anna, p.ID)))
	w.must(second(w.desk.Office.Approve(ctx, boris, p.ID, "all there")))
	w.now = w.now.Add(time.Minute)
	return c.ID
}

// Scenario 25's end: a fifth of the normal rate, twice that after each three clean days, and
// nothing after thirty.
func TestRamp(t *testing.T) {
	w := newWorld(t)
	id := w.onProbation()
	for _, step := range []struct {
		days, messages, recipients int
		level                      abuse.Level
	}{{0, 20, 50, abuse.M1}, {2, 20, 50, abuse.M1}, {3, 40, 100, abuse.M1}, {6, 80, 200, abuse.M1}, {9, 0, 0, abuse.M0}, {31, 0, 0, abuse.M0}} {
		from := w.now
		w.now = w.now.Add(time.Duration(step.days) * 24 * time.Hour)
		w.tend()
		acc := w.accounts.Force(ann)
		if acc.Effective() != step.level || acc.Messages != step.messages || acc.Recipients != step.recipients {
			t.Errorf("after %d days: %s, %d messages, %d recipients", step.days, acc.Effective(), acc.Messages, acc.Recipients)
		}
		if step.days != 31 {
			w.now = from
		}
	}
	c, err := w.desk.Cases.Get(t.Context(), id)
	if err != nil || c.State != flow.Resolved && c.State != flow.ResultSent && c.State != flow.Closed {
		t.Errorf("%s, %v", c.State, err)
	}
}

// Scenario 26: a vote that proves itself and a trap, of mail sent since, break the word.
func TestBrokenWord(t *testing.T) {
	w := newWorld(t)
	id := w.onProbation()
	w.tend()
	add := func(s signal.Signal) {
		s.Account, s.At = ann, w.now
		w.must(w.measures.Signals.Add(t.Context(), s))
		w.tend()
	}
	add(signal.Signal{ID: "v0", Family: signal.Complaints, Rule: "complaint", Weight: 10, Votes: 100, Copy: "old", SentAt: w.now.Add(-48 * time.Hour)})
	add(signal.Signal{ID: "t1", Family: signal.Traps, Rule: "trap", Weight: 40, Detail: "it wrote to a trap"})
	if c, err := w.desk.Cases.Get(t.Context(), id); err != nil || c.State != flow.Probation {
		t.Fatalf("a late complaint about mail of before counts: %s, %v", c.State, err)
	}
	add(signal.Signal{ID: "w1", Family: signal.Complaints, Rule: "complaint", Weight: -10, Votes: 100, Copy: "wanted", Feedback: "not-spam", SentAt: w.now})
	if c, err := w.desk.Cases.Get(t.Context(), id); err != nil || c.State != flow.Probation {
		t.Fatalf("a reader who wants the mail breaks the word: %s, %v", c.State, err)
	}
	add(signal.Signal{ID: "v1", Family: signal.Complaints, Rule: "complaint", Weight: 10, Votes: 100, Copy: "new", SentAt: w.now})
	c, err := w.desk.Cases.Get(t.Context(), id)
	if err != nil || c.State != flow.Suspended || c.Strikes != 2 {
		t.Fatalf("%s, %d strikes, %v", c.State, c.Strikes, err)
	}
	if w.events["guarantee-"+id] == "" {
		t.Errorf("no lead is offered the end: %v", w.events)
	}
	if acc := w.accounts.Force(ann); acc.Effective() != abuse.M3 {
		t.Errorf("%s: %s", acc.Effective(), acc.Reason)
	}
	w.tend()
	if again, err := w.desk.Cases.Get(t.Context(), id); err != nil || again.Strikes != c.Strikes {
		t.Errorf("one break counts twice: %d, %v", again.Strikes, err)
	}
}

// sentBy is a send log of some rows of an account.
type sentBy struct {
	nothingSent
	rows []sent.Row
}

func (s *sentBy) ByAccount(_ context.Context, account string, _, to time.Time, _ string, _ int) (out []sent.Row, next string, err error) {
	for _, r := range s.rows {
		if r.Account == account && !r.At.After(to) {
			out = append(out, r)
		}
	}
	return out, "", nil
}

func (s *sentBy) Forget(_ context.Context, serials []string) error {
	s.rows = slices.DeleteFunc(s.rows, func(r sent.Row) bool { return slices.Contains(serials, r.Serial) })
	return nil
}

// A purge forgets the account's mail, reports, signals and logins, and nobody else's.
func TestPurge(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	log := &sentBy{rows: []sent.Row{{Serial: "1", Account: ann, At: w.now}, {Serial: "2", Account: "bob@x.example", At: w.now}}}
	for i, account := range []string{ann, "bob@x.example"} {
		sum, _, err := w.home.PutBlob(ctx, entity.Intake, strings.NewReader(account))
		w.must(err)
		id := fmt.Sprint("r", i)
		w.must(second(shelf.Reports(w.home).Create(ctx, shelf.Report{ID: id, At: w.now, SHA256: sum})))
		w.must(second(shelf.Works(w.home).Create(ctx, shelf.Work{Report: id, At: w.now, State: shelf.Done, Proof: proof.Proof{Account: account}})))
		w.must(w.measures.Signals.Add(ctx, signal.Signal{ID: id, Account: account, At: w.now}))
	}
	parts := abusedesk.PurgeParts{Entities: w.home, Cases: w.desk.Cases, Sent: log, Traffic: 90 * 24 * time.Hour}
	for range 2 { // it may be asked twice
		for _, one := range parts.Purgers() {
			what, err := one.Purge(ctx, ann, w.now.Add(time.Hour))
			w.must(err)
			t.Log(what)
		}
	}
	if len(log.rows) != 1 || log.rows[0].Serial != "2" {
		t.Errorf("%+v", log.rows)
	}
	for i, want := range []int{0, 1} {
		account := []string{ann, "bob@x.example"}[i]
		n, err := shelf.Works(w.home).Count(ctx, entity.Query{Index: "account", Value: shelf.Value(account)}, 9)
		of, err2 := w.measures.Signals.Of(ctx, account, 9)
		_, err3 := shelf.Reports(w.home).Get(ctx, fmt.Sprint("r", i))
		if err != nil || err2 != nil || n != want || len(of) != want || (err3 == nil) != (want == 1) {
			t.Errorf("%s: %d reports, %d signals, %v %v %v", account, n, len(of), err, err2, err3)
		}
	}
	blobs, err := w.home.BlobsBefore(ctx, entity.Intake, w.now.Add(time.Hour), 9)
	if err != nil || len(blobs) != 1 {
		t.Errorf("%v %v", blobs, err)
	}
}
