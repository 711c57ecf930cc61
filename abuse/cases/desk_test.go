package cases_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/abuse/calendar"
	"postern/abuse/cases"
	"postern/abuse/cases/dossier"
	"postern/abuse/cases/flow"
	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/said"
)

// world is a desk with a clock of its own.
type world struct {
	cases.Desk
	home *entities.Memory

	mu     sync.Mutex
	now    time.Time
	audit  []string
	alarms []cases.Alarm
}

var monday = time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)

type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func newWorld(t tester) *world {
	t.Helper()
	set, err := calendar.Open("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{now: monday, home: &entities.Memory{}}
	w.home.Now = w.clock
	w.Desk = cases.Desk{
		Entities: w.home, Now: w.clock, Log: slog.New(slog.DiscardHandler), Calendars: func() *calendar.Set { return set },
		Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.audit = append(w.audit, actor+" "+action+" "+object)
			return nil
		},
		Alarm: func(_ context.Context, a cases.Alarm) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.alarms = append(w.alarms, a)
		},
	}
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) at(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = t
}

func (w *world) tick(t tester, at time.Time) {
	t.Helper()
	w.at(at)
	if err := w.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (w *world) attach(t tester, c cases.Complaint) cases.Case {
	t.Helper()
	out, err := w.Attach(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (w *world) get(t tester, id string) cases.Case {
	t.Helper()
	c, err := w.Get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	anna  = cases.Actor{Name: "anna", Role: flow.Agent}
	boris = cases.Actor{Name: "boris", Role: flow.Agent}
	chief = cases.Actor{Name: "chief", Role: flow.Lead}
)

// proven is a person's report with full proof.
func proven(report, account, copyOf string) cases.Complaint {
	return cases.Complaint{
		Report: report, At: monday, Raw: strings.Repeat("a", 64), Grade: 4, Sentence: "DKIM verified", Account: account, Serial: "serial-" + account,
		Copy: copyOf, Accepted: 3, Votes: 100, Client: netip.MustParseAddrPort("203.0.113.7:51514"), Login: account, SentAt: monday.Add(-time.Hour),
		Trust: 1, Person: true, Reporter: "r@example.net", Language: "en",
	}
}

func TestOneThousandReportsAreThreeVotes(t *testing.T) {
	w := newWorld(t)
	n := 1000
	if testing.Short() {
		n = 150
	}
	var c cases.Case
	for i := range n {
		r := proven(fmt.Sprintf("r%d", i), "anna@a.test", fmt.Sprintf("copy-%d", i%3))
		r.Reporter = fmt.Sprintf("r%d@example.net", i)
		c = w.attach(t, r)
	}
	if c.ID != "A-2026-000001" || c.Reports != n || c.Votes != 300 || c.State != flow.Triage {
		t.Errorf("%s: %d reports, %d votes, %s", c.ID, c.Reports, c.Votes, c.State)
	}
	links, _, err := w.Reports(t.Context(), c.ID, "", 1000)
	twice := 0
	for _, l := range links {
		if l.Duplicate {
			twice++
		}
	}
	if err != nil || len(links) != n || twice != n-3 {
		t.Errorf("%d links, %d duplicates, %v", len(links), twice, err)
	}
}

func TestRedactedCopiesNeverExceedTheRecipients(t *testing.T) {
	w := newWorld(t)
	var c cases.Case
	for i := range 20 {
		r := proven(fmt.Sprintf("r%d", i), "a@a.test", fmt.Sprintf("made-up-%d", i))
		r.Grade = 3
		c = w.attach(t, r)
	}
	if c.Votes != 300 {
		t.Errorf("%d votes for 3 recipients", c.Votes)
	}
	for i := range 20 {
		r := proven(fmt.Sprintf("w%d", i), "weak@a.test", fmt.Sprintf("c%d", i))
		r.Grade, r.Votes = 2, 50
		c = w.attach(t, r)
	}
	if c.Votes != 150 {
		t.Errorf("P2 alone: %d votes for 3 recipients", c.Votes)
	}
	full := w.attach(t, func() cases.Complaint { r := proven("full", "weak@a.test", "c0"); return r }())
	if full.Votes != 200 {
		t.Errorf("the same copy with full proof: %d votes", full.Votes)
	}
}

func TestAttachIsIdempotent(t *testing.T) {
	w := newWorld(t)
	first := w.attach(t, proven("r1", "a@a.test", "c1"))
	again := w.attach(t, proven("r1", "a@a.test", "c1"))
	if again.ID != first.ID || again.Votes != 100 || again.Reports != 1 {
		t.Errorf("%+v", again)
	}
	if _, err := w.Attach(t.Context(), cases.Complaint{}); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("%v", err)
	}
}

func TestACrashAnywhereLosesAndDoublesNothing(t *testing.T) {
	broken := errors.New("power cut")
	for cut := range 40 {
		w := newWorld(t)
		left := cut
		w.home.Fail = func() error {
			if left == 0 {
				return broken
			}
			left--
			return nil
		}
		_, err := w.Attach(t.Context(), proven("r1", "a@a.test", "c1"))
		w.home.Fail = nil
		if err == nil && cut > 20 {
			break
		}
		w.tick(t, monday.Add(2*time.Minute)) // what was stored is taken up by itself
		c := w.attach(t, proven("r1", "a@a.test", "c1"))
		if c = w.get(t, c.ID); c.Reports != 1 || c.Votes != 100 || len(c.Pending) != 0 {
			t.Errorf("cut at write %d: %d reports, %d votes, %d pending", cut, c.Reports, c.Votes, len(c.Pending))
		}
		events, _, err := w.Timeline(t.Context(), c.ID, "", 100)
		if err != nil || len(events) != c.Seq {
			t.Errorf("cut at write %d: %d events of %d, %v", cut, len(events), c.Seq, err)
		}
		all, _, err := w.Find(t.Context(), cases.Search{View: "all"})
		if err != nil || len(all) != 1 {
			t.Errorf("cut at write %d: %d cases %v", cut, len(all), err)
		}
	}
}

func TestTwoNodesAtOnce(t *testing.T) {
	w := newWorld(t)
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			r := proven(fmt.Sprintf("r%d", i%12), fmt.Sprintf("a%d@a.test", i%4), fmt.Sprintf("c%d", i%12)) // each report twice
			if _, err := w.Attach(t.Context(), r); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, _, err := w.Find(t.Context(), cases.Search{})
	reports, ids := 0, map[string]bool{}
	for _, c := range all {
		reports += c.Reports
		ids[c.ID] = true
	}
	if err != nil || len(all) != 4 || len(ids) != 4 || reports != 12 {
		t.Errorf("%d cases, %d reports, %v", len(all), reports, err)
	}
}

func TestWhereAReportGoes(t *testing.T) {
	w := newWorld(t)
	forged := cases.Complaint{Report: "p0", At: monday, Person: true, Trust: 1, Reporter: "x@example.net"}
	unread := cases.Complaint{Report: "u", At: monday, Unparsed: true}
	source := cases.Complaint{Report: "e", At: monday, Kind: cases.External, SourceIP: netip.MustParseAddr("192.0.2.1"), SourcePort: 4000, SourceTime: monday, Person: true, Trust: 2}
	for _, c := range []struct {
		complaint cases.Complaint
		state     flow.State
		priority  int
	}{
		{forged, flow.NotOurs, 4}, {unread, flow.Unparsed, 4}, {source, flow.Detected, 3}, {proven("r", "a@a.test", "c"), flow.Triage, 3},
		{func() cases.Complaint { r := proven("v", "v@a.test", "c"); r.Feedback = "virus"; return r }(), flow.Triage, 1},
	} {
		got := w.attach(t, c.complaint)
		if got.State != c.state || got.Priority != c.priority {
			t.Errorf("%s: %s U%d", c.complaint.Report, got.State, got.Priority)
		}
	}
	same := source
	same.Report = "e2"
	if a, b := w.attach(t, source), w.attach(t, same); a.ID != b.ID || b.Reports != 2 {
		t.Errorf("%s %s", a.ID, b.ID)
	}
	drill := proven("d", "a@a.test", "c9")
	drill.Drill = true
	if got := w.attach(t, drill); !got.Drill || got.ID == w.attach(t, proven("r", "a@a.test", "c")).ID {
		t.Errorf("a drill went to a real case: %s", got.ID)
	}
}

func TestAFloodIsOneLine(t *testing.T) {
	w := newWorld(t)
	var c cases.Case
	for i := range 250 {
		c = w.attach(t, cases.Complaint{Report: fmt.Sprintf("f%d", i), At: monday, Fold: "192.0.2.0/24 2026-06-08", Votes: 100, Grade: 0})
	}
	events, _, err := w.Timeline(t.Context(), c.ID, "", 1000)
	if err != nil || c.Reports != 250 || c.Folded != 250 || c.Votes != 0 || len(events) != 4 { // opened, 1, 10, 100
		t.Errorf("%d reports, %d votes, %d events %v", c.Reports, c.Votes, len(events), err)
	}
}

func TestTheFirstBusinessDay(t *testing.T) {
	w := newWorld(t)
	set, err := calendar.Open("", []calendar.Team{{Name: "cn", Calendar: "china"}})
	if err != nil {
		t.Fatal(err)
	}
	w.Calendars = func() *calendar.Set { return set }
	shanghai := set.Team("cn").Team().Zone.Location
	received := time.Date(2026, 2, 13, 17, 30, 0, 0, shanghai)
	w.at(received)
	r := proven("r", "a@a.test", "c")
	r.At = received
	c := w.attach(t, r)
	due := c.Clock(flow.First).Due()
	if want := time.Date(2026, 2, 14, 17, 30, 0, 0, shanghai); !due.Equal(want) {
		t.Errorf("%s, want %s", due.In(shanghai), want)
	}
	version := c.Clock(flow.First).Calendar
	edited, err := calendar.Open("", []calendar.Team{{Name: "cn", Calendar: "russia"}})
	if err != nil {
		t.Fatal(err)
	}
	w.Calendars = func() *calendar.Set { return edited }
	c, err = w.Comment(t.Context(), anna, c.ID, "another calendar now")
	if err != nil || !c.Clock(flow.First).Due().Equal(due) || c.Clock(flow.First).Calendar != version || !strings.HasPrefix(version, "china@") {
		t.Errorf("%+v %v", c.Clock(flow.First), err)
	}
}

func TestSeventyTwoHours(t *testing.T) {
	w := newWorld(t)
	c := w.attach(t, proven("r", "a@a.test", "c"))
	told := func(clock flow.Name) (out []int) {
		for _, a := range w.alarms {
			if a.Clock == clock && !a.Over {
				out = append(out, a.Percent)
			}
		}
		return out
	}
	for _, step := range []struct {
		after time.Duration
		want  []int
	}{
		{36*time.Hour - time.Second, nil}, {36 * time.Hour, []int{50}}, {57*time.Hour + 35*time.Minute, []int{50}},
		{57*time.Hour + 36*time.Minute, []int{50, 80}}, {57*time.Hour + 36*time.Minute, []int{50, 80}}, {72 * time.Hour, []int{50, 80, 100}},
	} {
		w.tick(t, monday.Add(step.after))
		if got := told(flow.Result); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.after, got, step.want)
		}
	}
	if c = w.get(t, c.ID); c.Priority != 1 || !c.Clock(flow.Result).Late(w.clock().Add(time.Second)) { // two clocks at 80 %: from U3 to U1
		t.Errorf("U%d", c.Priority)
	}
	if _, err := w.Result(t.Context(), anna, c.ID, "N-1", said.Words{}); err != nil {
		t.Fatal(err)
	}
	if last := w.alarms[len(w.alarms)-1]; !last.Over || last.Clock != flow.Result {
		t.Errorf("%+v", last)
	}
}

func TestAcknowledgingIsNoAnswer(t *testing.T) {
	w := newWorld(t)
	c := w.attach(t, proven("r", "a@a.test", "c"))
	if k := c.Clock(flow.Ack); k == nil || k.Due().Sub(monday) != 5*time.Minute {
		t.Fatalf("%+v", k)
	}
	c, err := w.Acknowledged(t.Context(), cases.Machine(), c.ID, "r", said.Typed("N-1"))
	if err != nil || c.Clock(flow.Ack).Running() || !c.Clock(flow.First).Running() || !c.Decided.IsZero() {
		t.Errorf("%+v %v", c.Clocks, err)
	}
	if _, err := w.Answered(t.Context(), cases.Machine(), c.ID, "N-2"); !errors.Is(err, dossier.ErrRole) {
		t.Errorf("an automatic answer: %v", err)
	}
	c, err = w.Answered(t.Context(), anna, c.ID, "N-2")
	if err != nil || c.Clock(flow.First).Running() || c.DecidedBy != "anna" {
		t.Errorf("%+v %v", c.Clocks, err)
	}
	stranger := proven("s", "s@a.test", "c")
	stranger.Trust = 0
	if c := w.attach(t, stranger); c.Clock(flow.Ack) != nil {
		t.Error("an unauthenticated stranger is owed an acknowledgement")
	}
}

func TestWaitingForTheReporter(t *testing.T) {
	w := newWorld(t)
	c := w.attach(t, proven("r", "a@a.test", "c"))
	result := c.Clock(flow.Result).Due()
	w.at(monday.Add(time.Hour))
	if _, err := w.Move(t.Context(), anna, c.ID, cases.Request{To: flow.NeedsInfo, Reason: "headers please"}); err != nil {
		t.Fatal(err)
	}
	w.tick(t, monday.Add(49*time.Hour)) // nothing is told of a clock that stands still
	for _, a := range w.alarms {
		if a.Clock == flow.Result || a.Clock == flow.First {
			t.Errorf("%+v", a)
		}
	}
	c, err := w.Move(t.Context(), anna, c.ID, cases.Request{To: flow.Triage, Reason: "they came"})
	if err != nil || c.Clock(flow.Result).Due().Sub(result) != 48*time.Hour || c.Clock(flow.First).Running() {
		t.Errorf("%+v %v", c.Clocks, err)
	}
	if _, err := w.Move(t.Context(), anna, c.ID, cases.Request{To: flow.NeedsInfo, Reason: "again"}); err != nil {
		t.Fatal(err)
	}
	w.tick(t, monday.Add(49*time.Hour+7*24*time.Hour))
	if c = w.get(t, c.ID); c.State != flow.Closed {
		t.Errorf("no reply for a week: %s", c.State)
	}
}

func TestNothingIsConfirmedWithoutEvidenceAndSource(t *testing.T) {
	w := newWorld(t)
	r := proven("r", "a@a.test", "c")
	r.Raw, r.Grade, r.Client, r.SentAt = "", 1, netip.AddrPort{}, time.Time{}
	c := w.attach(t, r)
	ctx := t.Context()
	verify := cases.Request{To: flow.Verified, Reason: "seen"}
	fails := func(want string) {
		t.Helper()
		if _, err := w.Move(ctx, anna, c.ID, verify); !errors.Is(err, dossier.ErrNeeds) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	fails("a category")
	if _, err := w.SetCategories(ctx, anna, c.ID, []cases.Category{"S5", "S1", "S1"}); err != nil {
		t.Fatal(err)
	}
	fails("no evidence")
	sum, _, err := w.home.PutBlob(ctx, entity.Evidence, strings.NewReader("a slice of the log"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddEvidence(ctx, anna, c.ID, cases.Evidence{Class: entity.Evidence, Sum: strings.Repeat("0", 64)}); !errors.Is(err, dossier.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if _, err := w.AddEvidence(ctx, anna, c.ID, cases.Evidence{Class: entity.Evidence, Sum: sum, Name: "log"}); err != nil {
		t.Fatal(err)
	}
	fails("its source is not known")
	if _, err := w.SetSource(ctx, anna, c.ID, cases.Source{IP: netip.MustParseAddr("203.0.113.7"), Port: 51514, Time: monday}, said.Typed("from the log")); err != nil {
		t.Fatal(err)
	}
	got, err := w.Move(ctx, anna, c.ID, verify)
	if err != nil || got.State != flow.Verified || len(got.Seals) != 1 || got.Seals[0].Items != 2 {
		t.Fatalf("%+v %v", got.Seals, err)
	}
	if _, err := w.home.Blob(ctx, entity.Evidence, got.Seals[0].Sum); err != nil {
		t.Error(err)
	}
	if k := got.Clock(flow.Measure); k == nil || k.Due().Sub(monday) != 4*time.Hour {
		t.Errorf("%+v", k)
	}
	if _, err := w.SetSource(ctx, anna, c.ID, cases.Source{}, said.Typed("away with it")); !errors.Is(err, dossier.ErrState) {
		t.Errorf("a sealed source was changed: %v", err)
	}
}

func TestMergeIsALink(t *testing.T) {
	w := newWorld(t)
	a, b := w.attach(t, proven("r1", "a@a.test", "c1")), w.attach(t, proven("r2", "b@a.test", "c2"))
	ctx := t.Context()
	before := w.get(t, b.ID)
	main, err := w.Merge(ctx, anna, a.ID, b.ID, "one customer")
	if err != nil || main.ID != a.ID {
		t.Fatalf("%s %v", main.ID, err)
	}
	total, err := w.Totals(ctx, main)
	if err != nil || total.Votes != 200 || total.Reports != 2 || !slices.Equal(total.Merged, []string{b.ID}) {
		t.Errorf("%+v %v", total, err)
	}
	if all, _, _ := w.Find(ctx, cases.Search{}); len(all) != 1 {
		t.Errorf("%d cases in the queue", len(all))
	}
	for _, err := range []error{
		second(w.Merge(ctx, anna, a.ID, a.ID, "x")), second(w.Merge(ctx, anna, b.ID, w.attach(t, proven("r3", "c@a.test", "c3")).ID, "x")),
		second(w.Move(ctx, anna, b.ID, cases.Request{To: flow.Rejected, Reason: "x"})), second(w.Unmerge(ctx, anna, a.ID, "x")),
	} {
		if err == nil {
			t.Error("it was allowed")
		}
	}
	back, err := w.Unmerge(ctx, anna, b.ID, "two after all")
	if err != nil {
		t.Fatal(err)
	}
	back = w.get(t, b.ID)
	before.Seq, before.Changed, back.Seq, back.Changed = 0, time.Time{}, 0, time.Time{}
	before.Counting, back.Counting = nil, nil
	if fmt.Sprintf("%+v", before) != fmt.Sprintf("%+v", back) {
		t.Errorf("\n%+v\n%+v", before, back)
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhatIsDecidedForOneIsForAll(t *testing.T) {
	w := newWorld(t)
	a, b := w.attach(t, proven("r1", "a@a.test", "c1")), w.attach(t, proven("r2", "b@a.test", "c2"))
	ctx := t.Context()
	if _, err := w.Merge(ctx, anna, a.ID, b.ID, "one customer"); err != nil {
		t.Fatal(err)
	}
	w.at(monday.Add(time.Hour))
	if _, err := w.Move(ctx, anna, a.ID, cases.Request{To: flow.Rejected, Reason: "solicited"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Result(ctx, anna, a.ID, "N-7", said.Words{}); err != nil {
		t.Fatal(err)
	}
	child := w.get(t, b.ID)
	if child.Clock(flow.First).Running() || child.Clock(flow.Result).Running() || child.ResultAt.IsZero() || child.Decided.IsZero() {
		t.Errorf("%+v", child.Clocks)
	}
}

func TestReopening(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.attach(t, proven("r1", "a@a.test", "c1"))
	if _, err := w.Move(ctx, anna, c.ID, cases.Request{To: flow.Rejected, Reason: "solicited"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Move(ctx, anna, c.ID, cases.Request{To: flow.ResultSent, Reason: "told"}); !errors.Is(err, dossier.ErrNeeds) {
		t.Errorf("a result without a notice: %v", err)
	}
	if c, _ = w.Result(ctx, anna, c.ID, "N-1", said.Words{}); c.State != flow.ResultSent {
		t.Errorf("%s", c.State)
	}
	w.tick(t, monday.Add(6*24*time.Hour))
	closed := w.get(t, c.ID)
	if closed.State != flow.Closed || closed.Closed.IsZero() {
		t.Fatalf("%s", closed.State)
	}
	weak := proven("r2", "a@a.test", "c2")
	weak.Grade, weak.At = 1, monday.Add(7*24*time.Hour)
	if got := w.attach(t, weak); got.ID == c.ID {
		t.Error("a report without proof reopens")
	}
	w = newWorld(t)
	c = w.attach(t, proven("r1", "a@a.test", "c1"))
	mustMove(t, w, c.ID, cases.Request{To: flow.Rejected, Reason: "x"}, cases.Request{To: flow.ResultSent, Reason: "x", Barred: "feed"}, cases.Request{To: flow.Closed, Reason: "x"})
	strong := proven("r3", "a@a.test", "c3")
	strong.At = monday.Add(20 * 24 * time.Hour)
	w.at(strong.At)
	got := w.attach(t, strong)
	if got.ID != c.ID || got.State != flow.Reopened || got.Reopened != 1 || !got.Clock(flow.First).Running() || !got.Clock(flow.Result).Running() {
		t.Errorf("%s %s", got.ID, got.State)
	}
	mustMove(t, w, c.ID, cases.Request{To: flow.Rejected, Reason: "x"}, cases.Request{To: flow.ResultSent, Reason: "x", Barred: "feed"}, cases.Request{To: flow.Closed, Reason: "x"})
	late := proven("r4", "a@a.test", "c4")
	late.At = strong.At.Add(31 * 24 * time.Hour)
	w.at(late.At)
	if got := w.attach(t, late); got.ID == c.ID || got.Reports != 1 {
		t.Errorf("reopened after 31 days: %s", got.ID)
	}
	if got, err := w.Reopen(ctx, anna, c.ID, "the customer appeals", "letter of today"); err != nil || got.State != flow.Reopened {
		t.Errorf("%s %v", got.State, err)
	}
}

func mustMove(t tester, w *world, id string, all ...cases.Request) cases.Case {
	t.Helper()
	var c cases.Case
	for _, r := range all {
		var err error
		if c, err = w.Move(context.Background(), anna, id, r); err != nil {
			t.Fatalf("to %s: %v", r.To, err)
		}
	}
	return c
}

func TestFollowersAreToldUntilTheyAnswer(t *testing.T) {
	w := newWorld(t)
	var seen []string
	failing := true
	w.Followers = []cases.Named{{Name: "measures", Follower: followerFunc(func(ctx context.Context, c cases.Case, e cases.Event) error {
		if failing {
			return errors.New("the connector is down")
		}
		seen = append(seen, fmt.Sprintf("%d %s", e.Seq, e.Action))
		if e.Action == "report" { // a follower may write to the case itself
			_, err := w.Note(ctx, c.ID, cases.Event{Actor: "measures", Action: "measure", Data: map[string]string{"measure": "M-1", "level": "M1"}})
			return err
		}
		return nil
	})}}
	c := w.attach(t, proven("r", "a@a.test", "c"))
	events, _, err := w.Timeline(t.Context(), c.ID, "", 10)
	if err != nil || len(events) != 2 || len(w.audit) != 2 || len(w.get(t, c.ID).Pending) != 2 { // filed and audited all the same
		t.Errorf("%d events, %v, %d pending", len(events), w.audit, len(w.get(t, c.ID).Pending))
	}
	w.tick(t, monday.Add(time.Second)) // not yet
	failing = false
	w.tick(t, monday.Add(time.Minute))
	got := w.get(t, c.ID)
	if want := []string{"1 opened", "2 report", "3 measure"}; !slices.Equal(seen, want) || len(got.Pending) != 0 || got.Measure != "M-1" || got.Level != 1 {
		t.Errorf("%v, %d pending, %s M%d", seen, len(got.Pending), got.Measure, got.Level)
	}
	if len(w.audit) != 3 {
		t.Errorf("%v", w.audit)
	}
}

type followerFunc func(ctx context.Context, c cases.Case, e cases.Event) error

func (f followerFunc) Follow(ctx context.Context, c cases.Case, e cases.Event) error {
	return f(ctx, c, e)
}

// What is told again after a crash stands in the timeline once.
func TestNotedOnce(t *testing.T) {
	w := newWorld(t)
	c := w.attach(t, proven("r1", "anna@a.test", "copy"))
	for range 3 {
		if _, err := w.Note(t.Context(), c.ID, cases.Event{Actor: "reporter", Action: "reply", Report: "r2", Text: "here it is", Once: "reply r2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Answered(t.Context(), anna, c.ID, "n1"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Result(t.Context(), anna, c.ID, "n2", said.Words{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 * dossier.MaxNoted { // what is remembered is bounded
		if _, err := w.Note(t.Context(), c.ID, cases.Event{Actor: "reporter", Action: "more", Text: "x", Once: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	n := map[string]int{}
	events, _, err := w.Timeline(t.Context(), c.ID, "", 1000)
	for _, e := range events {
		n[e.Action]++
	}
	if err != nil || n["reply"] != 1 || n["answer"] != 1 || n["result"] != 1 || n["more"] != 2*dossier.MaxNoted || len(w.get(t, c.ID).Noted) != dossier.MaxNoted {
		t.Errorf("%v %v", n, err)
	}
}
