package edition_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/notice/edition"
	"postern/abuse/notice/letter"
	"postern/internal/mailtest/entities"
)

var noon = time.Date(2030, 3, 4, 12, 0, 0, 0, time.UTC)

// world is two nodes on one home.
type world struct {
	t       *testing.T
	store   *entities.Memory
	one     *edition.Desk
	two     *edition.Desk
	now     time.Time
	audited []string
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t, store: &entities.Memory{}, now: noon}
	node := func() *edition.Desk {
		book, err := letter.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return &edition.Desk{Store: w.store, Book: book, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
			Audit: func(_ context.Context, actor, action, object string, _, _ any, note string) error {
				w.audited = append(w.audited, fmt.Sprint(actor, " ", action, " ", object, " ", note))
				return nil
			}}
	}
	w.one, w.two = node(), node()
	return w
}

func (w *world) save(base int, subject string) edition.Change {
	w.t.Helper()
	w.now = w.now.Add(time.Minute)
	c, err := w.one.Save(w.t.Context(), "anna", "el", letter.Ack, letter.Source{Subject: subject, Body: "Γεια, {{.Ticket}}\r\n\r\n"}, base, "why")
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) written(d *edition.Desk, language string) letter.Text {
	w.t.Helper()
	at := letter.When{Time: noon}
	text, err := d.Write(w.t.Context(), language, letter.Ack, letter.Vars{Ticket: "A-1", About: "a…@x", Received: at, FirstDue: at, ResultDue: at, Hours: "9-18", Desk: "Desk"})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

func TestWhatOneNodeSavesEveryNodeWrites(t *testing.T) {
	w := newWorld(t, "")
	given := w.written(w.two, "el")
	w.save(0, "Λάβαμε {{.Ticket}}")
	if got := w.written(w.two, "el"); got != (letter.Text{Subject: "Λάβαμε A-1", Body: "Γεια, A-1\n"}) {
		t.Errorf("%+v", got)
	}
	if got := w.written(w.two, "en"); !strings.Contains(got.Body, "Thank you") {
		t.Errorf("another language: %+v", got)
	}
	c, err := w.two.Reset(t.Context(), "bert", "el", letter.Ack, 1, "")
	if err != nil || c.N != 2 || c.Own() || w.written(w.one, "el") != given {
		t.Errorf("%+v %v", c, err)
	}
	if want := []string{"anna letter-saved el.ack why", "bert letter-reset el.ack "}; fmt.Sprint(w.audited) != fmt.Sprint(want) {
		t.Errorf("%q", w.audited)
	}
}

func TestHistoryOfALetter(t *testing.T) {
	w := newWorld(t, "")
	for i, subject := range []string{"one", "two", "three"} {
		w.save(i, subject)
	}
	all, next, err := w.two.History(t.Context(), "el", letter.Ack, "", 0)
	if err != nil || next != "" || len(all) != 3 || all[0].Subject != "three" || all[2].Subject != "one" || all[0].By != "anna" || all[0].Note != "why" || !all[0].At.After(all[2].At) {
		t.Fatalf("%+v %q %v", all, next, err)
	}
	page, next, err := w.two.History(t.Context(), "el", letter.Ack, "", 1)
	if err != nil || len(page) != 2 || next == "" {
		t.Fatalf("%d %q %v", len(page), next, err)
	}
	if page, _, err = w.two.History(t.Context(), "el", letter.Ack, next, 1); err != nil || len(page) != 1 || page[0].N != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	c, before, after, known, err := w.two.Compare(t.Context(), "el", letter.Ack, 2)
	if err != nil || !known || c.N != 2 || before.Subject != "one" || after.Subject != "two" {
		t.Errorf("%+v %q %q %t %v", c, before, after, known, err)
	}
	if _, before, _, known, err = w.two.Compare(t.Context(), "el", letter.Ack, 1); err != nil || !known || !strings.Contains(before.Body, "{{.FirstDue}}") {
		t.Errorf("before the first: %q %t %v", before, known, err)
	}
	back, err := w.two.Rollback(t.Context(), "bert", "el", letter.Ack, 1, "it was better")
	if err != nil || back.N != 4 || back.How != edition.Rolled || back.Back != 1 || back.Subject != "one" {
		t.Errorf("%+v %v", back, err)
	}
	if back, err = w.one.Rollback(t.Context(), "bert", "el", letter.Ack, 0, ""); err != nil || back.How != edition.Dropped {
		t.Errorf("%+v %v", back, err)
	}
	if _, err = w.one.Rollback(t.Context(), "bert", "el", letter.Ack, 99, ""); !errors.Is(err, edition.ErrNotFound) {
		t.Error(err)
	}
	if back, err = w.one.Rollback(t.Context(), "bert", "el", letter.Ack, 3, ""); err != nil || back.Subject != "three" {
		t.Errorf("after a reset: %+v %v", back, err)
	}
}

func TestTwoPeopleChangeALetter(t *testing.T) {
	w := newWorld(t, "")
	w.save(0, "one")
	w.save(1, "two")
	for _, base := range []int{0, 1, 3} {
		_, err := w.two.Save(t.Context(), "bert", "el", letter.Ack, letter.Source{Subject: "mine", Body: "x"}, base, "")
		if !errors.Is(err, edition.ErrChanged) {
			t.Errorf("on change %d: %v", base, err)
		}
	}
	if _, err := w.two.Save(t.Context(), "bert", "el", letter.Ack, letter.Source{Subject: "two", Body: "Γεια, {{.Ticket}}\n"}, 2, ""); !errors.Is(err, edition.ErrSame) {
		t.Error(err)
	}
	if _, err := w.two.Reset(t.Context(), "bert", "ru", letter.Ack, 0, ""); !errors.Is(err, edition.ErrSame) {
		t.Error(err)
	}
	for _, s := range []letter.Source{{Subject: "S", Body: "{{.Account}}"}, {Subject: "", Body: "x"}} {
		if _, err := w.two.Save(t.Context(), "bert", "el", letter.Ack, s, 2, ""); !errors.Is(err, letter.ErrLetter) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := w.two.Save(t.Context(), "bert", "el", letter.Ack, letter.Source{Subject: "S", Body: "x"}, 2, strings.Repeat("n", edition.MaxNote+1)); !errors.Is(err, letter.ErrLetter) {
		t.Error(err)
	}
	for _, c := range []struct {
		language string
		kind     letter.Kind
	}{
		{
			language: "de",
			kind:     letter.Ack,
		},
		{
			language: "el",
			kind:     "nothing",
		},
		{
			language: "fr",
			kind:     letter.Complaint,
		},
	} {
		if _, err := w.one.Get(t.Context(), c.language, c.kind); !errors.Is(err, edition.ErrNotFound) {
			t.Errorf("%s %s: %v", c.language, c.kind, err)
		}
	}
}

// A node that stopped between keeping the old words and writing the new ones has changed nothing.
func TestAStopBetween(t *testing.T) {
	w := newWorld(t, "")
	w.save(0, "one")
	fails := 0
	w.store.Fail = func() error {
		if fails++; fails == 2 {
			return errors.New("away")
		}
		return nil
	}
	if _, err := w.one.Save(t.Context(), "anna", "el", letter.Ack, letter.Source{Subject: "two", Body: "x"}, 1, ""); err == nil {
		t.Fatal("it was saved")
	}
	w.store.Fail = nil
	all, _, err := w.one.History(t.Context(), "el", letter.Ack, "", 0)
	if err != nil || len(all) != 1 || all[0].Subject != "one" {
		t.Errorf("%+v %v", all, err)
	}
	w.save(1, "two")
	if all, _, err = w.one.History(t.Context(), "el", letter.Ack, "", 0); err != nil || len(all) != 2 {
		t.Errorf("%+v %v", all, err)
	}
}

func TestOldChangesAreForgotten(t *testing.T) {
	w := newWorld(t, "")
	for i := range edition.Kept + 3 {
		w.save(i, fmt.Sprint("subject ", i+1))
	}
	all, _, err := w.one.History(t.Context(), "el", letter.Ack, "", 1000)
	if err != nil || len(all) != edition.Kept || all[len(all)-1].N != 4 {
		t.Errorf("%d %+v %v", len(all), all[len(all)-1], err)
	}
	if _, _, _, known, err := w.one.Compare(t.Context(), "el", letter.Ack, 4); err != nil || known {
		t.Errorf("%t %v", known, err)
	}
}

// The operator's file stands between the program's words and the desk's.
func TestFilesOfTheOperator(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "el.txt")
	if err := os.WriteFile(path, []byte("=== ack\nSubject: Αρχείο\n\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, dir)
	got, err := w.one.Get(t.Context(), "el", letter.Ack)
	if err != nil || got.File != path || got.Now.Subject != "Αρχείο" || got.Last.Own() {
		t.Errorf("%+v %v", got, err)
	}
	w.save(0, "Γραφείο")
	if text := w.written(w.one, "el"); text.Subject != "Γραφείο" {
		t.Errorf("%+v", text)
	}
	if got, err = w.one.Get(t.Context(), "el", letter.Ack); err != nil || got.Given.Subject != "Αρχείο" || got.Now.Subject != "Γραφείο" {
		t.Errorf("%+v %v", got, err)
	}
}

// Words that cannot be filled in are no reason to write nothing.
func TestTheBookRemains(t *testing.T) {
	w := newWorld(t, "")
	if _, err := w.one.Save(t.Context(), "anna", "en", letter.NeedInfo, letter.Source{Subject: "S", Body: "By {{.FirstDue}}: {{.Missing}}"}, 0, ""); err != nil {
		t.Fatal(err)
	}
	at := letter.When{Time: noon}
	v := letter.Vars{Ticket: "A-1", Received: at, Deadline: at, Missing: "the headers", Desk: "Desk"}
	got, err := w.one.Write(t.Context(), "en", letter.NeedInfo, v)
	if err != nil || !strings.Contains(got.Body, "does not yet let us find the sender") {
		t.Errorf("%+v %v", got, err)
	}
	v.FirstDue = at
	if got, err = w.one.Write(t.Context(), "fr", letter.NeedInfo, v); err != nil || got.Subject != "S" {
		t.Errorf("a language that is not written: %+v %v", got, err)
	}
	w.store.Fail = nil
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := w.one.Write(ctx, "en", letter.NeedInfo, v); err == nil {
		t.Error("a home that does not answer")
	}
}
