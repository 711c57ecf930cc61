package notice_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"testing"
	"time"

	"postern/internal/said"

	"go.uber.org/goleak"

	"postern/abuse/cases"
	"postern/abuse/cases/flow"
	"postern/abuse/notice"
	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/internal/mailtest/entities"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type post struct {
	id, to string
	msg    *mail.Message
	body   string
}

// world is a desk whose cases are scripted and whose outbox is a list.
type world struct {
	t       *testing.T
	d       *notice.Desk
	store   *entities.Memory
	now     time.Time
	parties map[string]notice.Party
	links   []cases.Link
	c       cases.Case
	told    []string
	posts   []post
	away    error
}

func (w *world) Get(context.Context, string) (cases.Case, error) { return w.c, nil }
func (w *world) Reports(context.Context, string, string, int) ([]cases.Link, string, error) {
	return w.links, "", nil
}
func (w *world) Link(_ context.Context, report string) (cases.Link, error) {
	return cases.Link{Complaint: cases.Complaint{Report: report, Person: w.c.Person}}, nil
}
func (w *world) Acknowledged(_ context.Context, _ cases.Actor, id, report string, note said.Words) (cases.Case, error) {
	w.told = append(w.told, "ack "+report+" "+note.English)
	return w.c, nil
}
func (w *world) Answered(_ context.Context, who cases.Actor, id, n string) (cases.Case, error) {
	w.told = append(w.told, "answered by "+who.Name)
	return w.c, nil
}
func (w *world) Result(_ context.Context, _ cases.Actor, id, n string, barred said.Words) (cases.Case, error) {
	w.told = append(w.told, fmt.Sprintf("result sent=%t barred=%s", n != "", barred))
	return w.c, nil
}

// clock runs out after a time.
func clock(n flow.Name, at time.Time, d time.Duration) flow.Clock {
	return flow.Clock{Name: n, Start: at, Marks: [3]time.Time{at.Add(d / 2), at.Add(d * 8 / 10), at.Add(d)}}
}

func newWorld(t *testing.T) *world {
	book, err := letter.Open("")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: &entities.Memory{}, now: time.Date(2030, 1, 7, 10, 0, 0, 0, time.UTC), parties: map[string]notice.Party{}}
	person := notice.Party{To: "vic@y.example", Trust: 1, MessageID: "<m@y.example>", About: "anna@x.example", Header: mail.Header{"Subject": {"spam"}}}
	w.parties["r1"] = person
	w.links = []cases.Link{{Complaint: cases.Complaint{Report: "r1", Person: true}}}
	w.c = cases.Case{ID: "A-2030-000042", Account: "anna@x.example", Person: true, Language: "ru", Opened: w.now, Sentence: "DKIM d=x s=y verified",
		Clocks: []flow.Clock{clock(flow.First, w.now, 9*time.Hour), clock(flow.Result, w.now, 72*time.Hour), clock(flow.Customer, w.now, 24*time.Hour)}}
	w.d = &notice.Desk{Store: w.store, Cases: w, Book: &edition.Desk{Store: w.store, Book: book, Log: slog.New(slog.DiscardHandler)}, Aliases: notice.Aliases{Key: []byte("k"), Domain: "abuse.example"}, From: "abuse@x.example", Name: "Abuse desk", Hours: "09:00-18:00", Zone: time.FixedZone("", 8*3600),
		Own:   func(a string) bool { return strings.HasPrefix(a, "abuse@") },
		Party: func(_ context.Context, r string) (notice.Party, error) { return w.parties[r], nil },
		Submit: func(_ context.Context, id string, _ time.Time, to string, b []byte) error {
			if w.away != nil {
				return w.away
			}
			m, err := mail.ReadMessage(strings.NewReader(string(b)))
			if err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			body, _ := io.ReadAll(m.Body)
			w.posts = append(w.posts, post{id, to, m, string(body)})
			return nil
		},
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
		Now:   func() time.Time { return w.now }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	return w
}

func (w *world) event(action, report string, to flow.State) {
	w.t.Helper()
	if err := w.d.Follow(w.t.Context(), w.c, cases.Event{Case: w.c.ID, At: w.now, Action: action, Report: report, To: to, Text: "the headers"}); err != nil {
		w.t.Fatal(err)
	}
}

func TestAcknowledgement(t *testing.T) {
	w := newWorld(t)
	for range 3 { // followers are told at least once
		w.event("report", "r1", "")
	}
	if len(w.posts) != 1 || w.posts[0].to != "vic@y.example" {
		t.Fatalf("%d letters", len(w.posts))
	}
	h := w.posts[0].msg.Header
	if h.Get("Auto-Submitted") != "auto-replied" || h.Get("In-Reply-To") != "<m@y.example>" || h.Get("Content-Language") != "ru" || !strings.HasPrefix(h.Get("Reply-To"), "a-2030-000042-") || len(w.posts[0].body) > 8<<10 {
		t.Errorf("%v", h)
	}
	if id, ok := w.d.Aliases.Case(h.Get("Reply-To")); !ok || id != w.c.ID {
		t.Errorf("the alias leads to %q", id)
	}
	for _, bad := range []string{"a-2030-000043-" + strings.SplitN(h.Get("Reply-To"), "-", 4)[3], "a-2030-000042-00000000000000000000@abuse.example", "abuse@abuse.example", "", "a-", h.Get("Reply-To") + ".org"} {
		if id, ok := w.d.Aliases.Case(bad); ok {
			t.Errorf("%q leads to %q", bad, id)
		}
	}
	if len(w.told) != 3 || !strings.HasPrefix(w.told[0], "ack r1 notice ") {
		t.Errorf("%v", w.told)
	}
}

// Who reports a copy that somebody else has reported before is answered as well, in the language
// they wrote in; a program is not.
func TestAcknowledgementOfADuplicate(t *testing.T) {
	w := newWorld(t)
	w.event("report", "r1", "")
	w.parties["r2"] = notice.Party{To: "kim@z.example", Trust: 1, Language: "el", Header: mail.Header{"Subject": {"spam"}}}
	for range 2 {
		w.event("duplicate", "r2", "")
	}
	if len(w.posts) != 2 || w.posts[1].to != "kim@z.example" || w.posts[1].msg.Header.Get("Content-Language") != "el" || w.posts[0].msg.Header.Get("Content-Language") != "ru" {
		t.Errorf("%d letters: %+v", len(w.posts), w.posts)
	}
	w.c.Person = false
	w.parties["r3"] = notice.Party{To: "lee@z.example", Trust: 1, Header: mail.Header{"Subject": {"spam"}}}
	w.event("duplicate", "r3", "")
	w.c.State = flow.Rejected
	w.event("duplicate", "r3", "")
	if len(w.posts) != 2 {
		t.Errorf("a program got a letter: %+v", w.posts[2:])
	}
}

// Two desks that answer each other get no further than one letter.
func TestTwoDesks(t *testing.T) {
	w := newWorld(t)
	for i := range 100 {
		w.c.ID = fmt.Sprintf("A-2030-%06d", i+1)
		w.event("report", "r1", "")
		w.now = w.now.Add(10 * time.Minute)
	}
	if len(w.posts) != 1 {
		t.Errorf("%d letters in %s", len(w.posts), "1000 minutes")
	}
	w.now = w.now.Add(24 * time.Hour)
	w.c.ID = "A-2030-000777"
	if w.event("report", "r1", ""); len(w.posts) != 2 {
		t.Errorf("a day later: %d letters", len(w.posts))
	}
}

func TestWhoIsNotAnswered(t *testing.T) {
	good := notice.Party{To: "vic@y.example", Trust: 1}
	own := func(a string) bool { return a == "desk@x.example" }
	if why := notice.WhyNot(good, own); why.English != "" {
		t.Errorf("a person: %s", why)
	}
	header := func(name, value string) notice.Party {
		p := good
		p.Header = mail.Header{name: {value}}
		return p
	}
	to := func(a string) notice.Party { p := good; p.To = a; return p }
	for name, p := range map[string]notice.Party{
		"null": to(""), "null in brackets": to("<>"), "own": to("desk@x.example"), "daemon": to("MAILER-DAEMON@y.example"), "no-reply": to("no-reply+x@y.example"), "list owner": to("owner-list@y.example"), "request": to("list-request@y.example"),
		"feed": {To: "fbl@y.example", Trust: 3, Feed: true}, "unproved": {To: "vic@y.example"},
		"auto": header("Auto-Submitted", "auto-generated"), "replied": header("Auto-Submitted", "Auto-Replied (vacation); x=y"), "bulk": header("Precedence", "Bulk"), "list": header("List-Id", "<x>"), "unsubscribe": header("List-Unsubscribe", "<x>"),
		"report": header("Content-Type", "multipart/report; boundary=x"), "suppress": header("X-Auto-Response-Suppress", "All"),
	} {
		if notice.WhyNot(p, own).Code == "" {
			t.Errorf("%s is answered", name)
		}
		w := newWorld(t)
		w.d.Own = own
		w.parties["r1"] = p
		w.event("report", "r1", "")
		w.event("state", "", flow.Resolved)
		if len(w.posts) > 0 {
			t.Errorf("%s: a letter to %s", name, w.posts[0].to)
		}
		if len(w.told) != 2 || !strings.HasPrefix(w.told[0], "ack r1 not sent: ") || !strings.HasPrefix(w.told[1], "result sent=false barred=") || strings.HasSuffix(w.told[1], "=") {
			t.Errorf("%s: the case hears %v", name, w.told)
		}
	}
	for _, p := range []notice.Party{header("Auto-Submitted", "no"), header("Precedence", "first-class"), header("Content-Type", "text/plain"), to("requests@y.example")} {
		if why := notice.WhyNot(p, own); why.English != "" {
			t.Errorf("%+v: %s", p, why)
		}
	}
}

// Who was told of the measure is not told again that the case is over, unless it was reopened
// in between.
func TestOneResultOfOneCase(t *testing.T) {
	for _, measure := range []flow.State{flow.Warned, flow.Suspended, flow.Terminated} {
		w := newWorld(t)
		letters := func() (n int) {
			for _, p := range w.posts {
				if p.to == "vic@y.example" {
					n++
				}
			}
			return n
		}
		w.event("state", "", measure)
		w.event("state", "", flow.Resolved)
		if n := letters(); n != 1 || w.told[len(w.told)-1] != "result sent=true barred=" {
			t.Errorf("%s: %d letters, %v", measure, n, w.told)
		}
		w.c.Reopened++
		if w.event("state", "", flow.Resolved); letters() != 2 {
			t.Errorf("%s: reopened, and %d letters", measure, letters())
		}
	}
}

func TestResults(t *testing.T) {
	for state, want := range map[flow.State]string{
		flow.NotOurs: "не проходило", flow.Rejected: "Нарушений условий", flow.Released: "Нарушений условий", flow.Resolved: "Причина найдена", flow.Suspended: "Отправка остановлена", flow.NeedsInfo: "the headers",
	} {
		w := newWorld(t)
		w.c.Clocks = append(w.c.Clocks, clock(flow.Reply, w.now, 7*24*time.Hour))
		for range 2 {
			w.event("state", "", state)
		}
		reporter := 0
		for _, p := range w.posts {
			if p.to != "vic@y.example" {
				continue
			}
			reporter++
			text := decode(t, p)
			if !strings.Contains(text, want) || strings.Contains(text, "anna@x.example") {
				t.Errorf("%s:\n%s", state, text)
			}
		}
		if reporter != 1 {
			t.Errorf("%s: %d letters to the reporter", state, reporter)
		}
		if state != flow.NeedsInfo && (len(w.told) != 2 || w.told[0] != "result sent=true barred=") {
			t.Errorf("%s: %v", state, w.told)
		}
	}
}

func decode(t *testing.T, p post) string {
	t.Helper()
	return quoted(t, p.body)
}

// Where it is plain at once that the mail was not ours, the result is the only letter.
func TestOneLetterWhereTheResultIsPlain(t *testing.T) {
	w := newWorld(t)
	w.c.State = flow.NotOurs
	w.event("opened", "r1", flow.NotOurs)
	if len(w.posts) != 0 {
		t.Fatal("a letter before the report is counted")
	}
	for range 2 {
		w.event("report", "r1", "")
	}
	if len(w.posts) != 1 || !strings.Contains(decode(t, w.posts[0]), "не проходило") || w.told[0] != "result sent=true barred=" {
		t.Errorf("%d letters, %v", len(w.posts), w.told)
	}
	w.c.Person = false
	w.told = nil
	if w.event("report", "r2", ""); len(w.posts) != 1 || w.told[0] != "result sent=false barred=no person reported it" {
		t.Errorf("%d letters, %v", len(w.posts), w.told)
	}
}

func TestLettersToTheAccount(t *testing.T) {
	for state, n := range map[flow.State]int{flow.Warned: 1, flow.Suspended: 2, flow.Probation: 1, flow.Verified: 0} {
		w := newWorld(t)
		w.links = nil
		for range 2 {
			w.event("state", "", state)
		}
		if len(w.posts) != n {
			t.Errorf("%s: %d letters", state, len(w.posts))
		}
		for _, p := range w.posts {
			if p.to != "anna@x.example" || !strings.Contains(decode(t, p), "anna@x.example") || p.msg.Header.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("%s: %+v", state, p)
			}
		}
	}
	w := newWorld(t)
	w.c.Drill = true
	if w.event("state", "", flow.Suspended); len(w.posts) > 0 {
		t.Error("a drill writes letters")
	}
}

func TestOutboxAway(t *testing.T) {
	w := newWorld(t)
	w.away = errors.New("the store is away")
	if err := w.d.Follow(t.Context(), w.c, cases.Event{Case: w.c.ID, At: w.now, Action: "report", Report: "r1"}); !errors.Is(err, w.away) {
		t.Errorf("%v", err)
	}
	w.away = nil
	for range 2 {
		if err := w.d.Tend(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if len(w.posts) != 1 {
		t.Errorf("%d letters", len(w.posts))
	}
	all, _, err := w.d.List(t.Context(), w.c.ID, "", "", 10)
	if err != nil || len(all) != 1 || all[0].State != notice.Sent {
		t.Fatalf("%+v %v", all, err)
	}
	if ours, err := w.d.Bounced(t.Context(), all[0].MessageID, "5.1.1 no such user"); !ours || err != nil {
		t.Errorf("%v %v", ours, err)
	}
	if ours, err := w.d.Bounced(t.Context(), "<else@x.example>", ""); ours || err != nil {
		t.Errorf("%v %v", ours, err)
	}
	if all, _, _ = w.d.List(t.Context(), "", "", "", 10); all[0].State != notice.Failed {
		t.Errorf("%+v", all[0])
	}
}

func TestAPersonAnswers(t *testing.T) {
	w := newWorld(t)
	anna := cases.Actor{Name: "agent", Role: flow.Agent}
	draft, err := w.d.Draft(t.Context(), w.c.ID, "r1", "", letter.Result)
	if err != nil || !strings.Contains(draft.Body, "A-2030-000042") {
		t.Fatalf("%+v %v", draft, err)
	}
	n, err := w.d.Answer(t.Context(), anna, w.c.ID, notice.Reply{Report: "r1", Text: letter.Text{Subject: "About\r\nBcc: x", Body: "Hello.\nIt is done.\n"}})
	if err != nil || n.By != "agent" || len(w.posts) != 1 || w.posts[0].msg.Header.Get("Auto-Submitted") != "" || w.posts[0].msg.Header.Get("Bcc") != "" || w.told[0] != "answered by agent" {
		t.Errorf("%+v %v %v", n, err, w.told)
	}
	if _, err := w.d.Answer(t.Context(), anna, w.c.ID, notice.Reply{Report: "r1", Result: true, Text: draft}); err != nil || w.told[1] != "result sent=true barred=" {
		t.Errorf("%v %v", err, w.told)
	}
	for name, text := range map[string]letter.Text{"empty": {Subject: "x"}, "no subject": {Body: "x"}, "long": {Subject: "x", Body: strings.Repeat("x", 5000)}, "no UTF-8": {Subject: "x", Body: "\xff"}, "the customer": {Subject: "x", Body: "Anna@X.example did it"}} {
		if _, err := w.d.Answer(t.Context(), anna, w.c.ID, notice.Reply{Report: "r1", Text: text}); !errors.Is(err, letter.ErrLetter) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.parties["r1"] = notice.Party{To: "vic@y.example"}
	if _, err := w.d.Answer(t.Context(), anna, w.c.ID, notice.Reply{Report: "r1", Text: letter.Text{Subject: "x", Body: "y"}}); !errors.Is(err, notice.ErrBarred) {
		t.Errorf("%v", err)
	}
}

// An account whose guarantee was refused hears why, and not once more that it is suspended.
func TestRefusedGuarantee(t *testing.T) {
	w := newWorld(t)
	e := cases.Event{Case: w.c.ID, At: w.now, Action: "state", From: flow.GuaranteeIn, To: flow.Suspended, Text: "the seal is missing"}
	if err := w.d.Follow(t.Context(), w.c, e); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, p := range w.posts {
		if p.to == w.c.Account {
			if n++; !strings.Contains(decode(t, p), "the seal is missing") {
				t.Errorf("%s", decode(t, p))
			}
		}
	}
	if n != 1 {
		t.Errorf("%d letters to the account", n)
	}
}
