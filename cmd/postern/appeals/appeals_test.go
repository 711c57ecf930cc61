package appeals_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/abuse/appeal"
	"postern/cmd/postern/appeals"
	"postern/filter"
	"postern/internal/control"
	"postern/internal/desk/refused"
	"postern/internal/mailtest/entities"
	"postern/internal/record"
)

// traffic is rows in memory; it notes how wide it was searched.
type traffic struct {
	rows []record.Row
	wide time.Duration
	fail error
}

func (f *traffic) Add(r record.Row) bool { f.rows = append(f.rows, r); return true }

func (f *traffic) Prune(context.Context, time.Time) (int, error) { return 0, nil }

func (f *traffic) Find(_ context.Context, q record.Trace) (record.Page, error) {
	f.wide = max(f.wide, q.Until.Sub(q.Since))
	if q.After == "" {
		return record.Page{Next: "more"}, f.fail // a page may be empty and go on
	}
	for _, r := range f.rows {
		if r.ID == q.ID && !r.Time.Before(q.Since) && r.Time.Before(q.Until) {
			return record.Page{Rows: []record.Row{r}}, nil
		}
	}
	return record.Page{}, nil
}

type world struct {
	*appeals.Desk
	t       *testing.T
	now     time.Time
	traffic traffic
	audit   []string
	letters map[string]string
	events  []string
	fail    error
	n       int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC), letters: map[string]string{}}
	var err error
	w.Desk, err = appeals.New(appeals.Parts{
		Entities: &entities.Memory{}, Traffic: &w.traffic, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Describe: func(symbol string) string {
			return map[string]string{"SPF_FAIL": "The sending host is not allowed by the domain's SPF record"}[symbol]
		},
		Page: func(path string) string { return "https://mail.example" + path }, From: func() string { return "postmaster@example.com" },
		Letter: func(_ context.Context, _ string, _ time.Time, to string, message []byte) error {
			if w.fail == nil {
				w.letters[to] = string(message)
			}
			return w.fail
		},
		Audit: func(_ context.Context, actor, action, object string, _, _ any, _ string) error {
			w.audit = append(w.audit, actor+" "+action+" "+object)
			return nil
		},
		Event: func(key, text string, over bool) { w.events = append(w.events, fmt.Sprint(key, " ", over, " ", text)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// refuse is a message that was refused now, or what edit makes of it.
func (w *world) refuse(edit ...func(*record.Row)) string {
	w.t.Helper()
	w.n++
	id, err := filter.NewID(w.now, strings.NewReader(fmt.Sprintf("%010d", w.n)))
	if err != nil {
		w.t.Fatal(err)
	}
	r := record.Row{
		ID: id, Time: w.now, Direction: "inbound", Client: record.Client{IP: "192.0.2.7"}, From: "frank@friend.example", Subject: "secret", Score: 1234, Symbols: []string{"SPF_FAIL", "BAYES_99"},
		To: []record.Fate{{Address: "ada@example.com", State: "rejected"}}, Reply: "550 5.7.1 The sending host is not allowed by the domain's SPF record (ref " + id + ")",
	}
	for _, f := range edit {
		f(&r)
	}
	w.traffic.Add(r)
	return id
}

// TestLook tells what strangers may know, and no more; whatever leads nowhere looks alike.
func TestLook(t *testing.T) {
	w := newWorld(t)
	id := w.refuse()
	got, err := w.Shown(t.Context(), " "+strings.ToUpper(id)+"\n")
	want := refused.Refusal{Reference: id, At: w.now.Truncate(time.Minute), Until: w.now.Add(appeals.Life).Truncate(time.Minute), Cause: appeals.SPF, Reply: "550 The sending host is not allowed by the domain's SPF record"}
	if err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if text := fmt.Sprintf("%+v", got); strings.Contains(text, "ada@") || strings.Contains(text, "secret") || strings.Contains(text, "1234") || strings.Contains(text, "BAYES") {
		t.Error("a stranger reads too much:", text)
	}
	taken := w.refuse(func(r *record.Row) {
		r.Reply, r.To = "250 2.0.0 ok", []record.Fate{{State: "delivered", Reply: "250 ok"}}
	})
	out := w.refuse(func(r *record.Row) { r.Direction = "outbound" })
	never, _ := filter.NewID(w.now, strings.NewReader("never said"))
	future, _ := filter.NewID(w.now.Add(time.Hour), strings.NewReader("0000000000"))
	for name, ref := range map[string]string{
		"taken": taken, "outbound": out, "never given": never, "of tomorrow": future, "": "", "short": id[:25], "long": id + "0", "a hold": id + "-01", "traversal": "../../etc/passwd", "too large": "z" + id[1:],
	} {
		if r, err := w.Shown(t.Context(), ref); !errors.Is(err, refused.ErrUnknown) || r != (refused.Refusal{}) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if w.traffic.wide > 2*time.Minute {
		t.Errorf("%s of traffic were searched for a stranger", w.traffic.wide)
	}
	later := w.refuse(func(r *record.Row) { r.Reply = "451 4.3.0 try again later (ref " + r.ID + ")" })
	if r, err := w.Shown(t.Context(), later); err != nil || !r.Temporary || r.Cause != appeals.Later {
		t.Errorf("%+v %v", r, err)
	}
	w.traffic.fail = errors.New("away")
	if _, err := w.Shown(t.Context(), id); err == nil || errors.Is(err, refused.ErrUnknown) {
		t.Error("a fault of ours looks like a reference that leads nowhere:", err)
	}
	w.traffic.fail = nil
	w.now = w.now.Add(appeals.Life + time.Second)
	if _, err := w.Shown(t.Context(), id); !errors.Is(err, refused.ErrUnknown) {
		t.Error("too long ago:", err)
	}
}

func (w *world) ask(id, email, language string) error {
	return w.Ask(w.t.Context(), refused.Ask{Reference: id, Network: netip.MustParsePrefix("198.51.100.0/32"), Language: language, Email: email, Text: "We are the <b>bakery</b>."})
}

// TestAppeal goes from what a sender writes to the answer on the page and in the letter.
func TestAppeal(t *testing.T) {
	w := newWorld(t)
	id := w.refuse()
	if err := w.ask(id, "no address", "el"); !errors.Is(err, refused.ErrEmail) {
		t.Error(err)
	}
	if err := w.ask(id, "baker@friend.example", "el"); err != nil {
		t.Fatal(err)
	}
	if err := w.ask(id, "", "en"); !errors.Is(err, refused.ErrTwice) {
		t.Error(err)
	}
	if err := w.ask(strings.Repeat("0", 26), "", "en"); !errors.Is(err, refused.ErrUnknown) {
		t.Error(err)
	}
	r, err := w.Shown(t.Context(), id)
	if err != nil || r.Appeal == nil || r.Appeal.State != "open" {
		t.Fatalf("%+v %v", r, err)
	}
	a, err := w.Book.Get(t.Context(), id)
	if err != nil || a.Client != "192.0.2.7" || a.From != "frank@friend.example" || a.Network != "198.51.100.0/32" || a.Refusal.Cause != appeals.SPF {
		t.Errorf("%+v %v", a, err)
	}
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: id, State: appeal.Granted, Answer: "Συγγνώμη.\nΣτείλτε ξανά.", Note: "a partner"}); err != nil {
		t.Fatal(err)
	}
	r, _ = w.Shown(t.Context(), id)
	if r.Appeal.State != "granted" || !strings.Contains(r.Appeal.Answer, "Συγγνώμη") {
		t.Errorf("%+v", r.Appeal)
	}
	m, err := mail.ReadMessage(strings.NewReader(w.letters["baker@friend.example"]))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
	subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	for _, want := range []string{"Συγγνώμη.\r\nΣτείλτε ξανά.", "https://mail.example/r/" + id + "?lang=el", "έγινε δεκτό"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if !strings.Contains(subject, id) || m.Header.Get("Auto-Submitted") != "auto-generated" || strings.Contains(string(text), "bakery") || strings.Contains(string(text), "partner") {
		t.Errorf("%q %v\n%s", subject, m.Header, text)
	}
	if want := []string{"public page appeal " + id, "olga appeal-granted " + id}; !slices.Equal(w.audit, want) {
		t.Errorf("%q", w.audit)
	}
}

// TestLetters has none without an address or when an appeal is opened again, and a decision that
// stands though the letter could not go out.
func TestLetters(t *testing.T) {
	w := newWorld(t)
	silent, loud := w.refuse(), w.refuse()
	if err := errors.Join(w.ask(silent, "", "ru"), w.ask(loud, "a@friend.example", "ru")); err != nil {
		t.Fatal(err)
	}
	w.fail = errors.New("no route")
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: silent, State: appeal.Refused}); err != nil {
		t.Error(err)
	}
	var refusal *control.Error
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: loud, State: appeal.Refused}); !errors.As(err, &refusal) || refusal.Kind != control.Conflict {
		t.Error(err)
	}
	if a, err := w.Book.Get(t.Context(), loud); err != nil || a.State != appeal.Refused {
		t.Errorf("%+v %v", a, err)
	}
	w.fail = nil
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: loud, State: appeal.Open, Note: "look again"}); err != nil || len(w.letters) > 0 {
		t.Errorf("%v %v", w.letters, err)
	}
}

// TestAlert says when an appeal waits for more than a day, and when none does any more.
func TestAlert(t *testing.T) {
	w := newWorld(t)
	id := w.refuse()
	if err := w.ask(id, "", "en"); err != nil {
		t.Fatal(err)
	}
	tend := func(want string) {
		t.Helper()
		w.events = nil
		if err := w.Tend(t.Context()); err != nil || len(w.events) != 1 || !strings.HasPrefix(w.events[0], want) {
			t.Errorf("%v %v, not %s", w.events, err, want)
		}
	}
	tend("appeals true")
	w.now = w.now.Add(appeals.Overdue)
	tend("appeals false 1 appeals")
	if _, err := w.Decide(t.Context(), "olga", appeal.Decision{Reference: id, State: appeal.Refused}); err != nil {
		t.Fatal(err)
	}
	tend("appeals true")
}

// TestCalls makes every call as programs do.
func TestCalls(t *testing.T) {
	w := newWorld(t)
	id := w.refuse()
	s := control.NewServer()
	w.Handle(s)
	l, err := control.Listen(t.Context(), filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(ctx, l) }()
	t.Cleanup(func() { stop(); <-done })
	c, err := control.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	call := func(name string, params, out any, want control.Kind) {
		t.Helper()
		err := c.Call(t.Context(), name, params, out)
		var e *control.Error
		if errors.As(err, &e); err != nil && (e == nil || e.Kind != want) || err == nil && want != "" {
			t.Errorf("%s %+v: %v, not %q", name, params, err, want)
		}
	}
	var r appeal.Refusal
	call("refusal.show", appeals.Of{Reference: id}, &r, "")
	if r.Cause != appeals.SPF {
		t.Errorf("%+v", r)
	}
	call("refusal.show", appeals.Of{Reference: "x"}, nil, control.NotFound)
	call("appeal.take", appeals.Add{Reference: id}, nil, control.Invalid)
	call("appeal.take", appeals.Add{Reference: id, Text: "by phone"}, nil, "")
	call("appeal.take", appeals.Add{Reference: id, Text: "again"}, nil, control.Conflict)
	var n appeals.Count
	call("appeal.count", struct{}{}, &n, "")
	if n.Open != 1 || !n.Oldest.Equal(w.now) {
		t.Errorf("%+v", n)
	}
	var p appeal.Page
	call("appeal.list", appeal.Query{State: appeal.Open}, &p, "")
	if len(p.Appeals) != 1 || p.Appeals[0].Text != "by phone" || p.Appeals[0].Language != "en" {
		t.Errorf("%+v", p)
	}
	call("appeal.list", appeal.Query{State: "odd"}, nil, control.Invalid)
	call("appeal.show", appeals.Of{Reference: id}, nil, "")
	call("appeal.show", appeals.Of{Reference: "x"}, nil, control.NotFound)
	call("appeal.decide", appeal.Decision{Reference: id, State: appeal.Answered}, nil, control.Invalid)
	call("appeal.decide", appeal.Decision{Reference: id, State: appeal.Refused}, nil, "")
	call("appeal.decide", appeal.Decision{Reference: id, State: appeal.Refused}, nil, control.Conflict)
}
