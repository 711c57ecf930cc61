package casecmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"postern/abuse/cases"
	"postern/abuse/cases/figures"
	"postern/abuse/guarantee"
	"postern/cmd/postern/abusedesk"
	"postern/cmd/postern/app"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/casecmd"
	"postern/cmd/postern/gateway"
	"postern/internal/control"
	"postern/internal/mailtest/entities"
	"postern/internal/people"
)

var monday = time.Date(2026, 6, 8, 10, 0, 0, 0, time.UTC)

// world is a running server with the desk's calls alone.
type world struct {
	t      *testing.T
	desk   *abusedesk.Desk
	server *control.Server
	config string
	now    time.Time
	events []string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, config: filepath.Join(dir, "postern.yaml"), now: monday}
	state := filepath.Join(dir, "state")
	if err := os.MkdirAll(state, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("hostname: mx1.example.com\nstate: %s\nlisteners:\n  - {name: mx, addr: '127.0.0.1:0', kind: inbound}\nbackends:\n  mail: [{addr: '127.0.0.1:1'}]\nroutes:\n  example.com: {backend: mail}\n", state)
	if err := os.WriteFile(w.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	w.desk, err = abusedesk.New(abusedesk.Parts{
		Entities: &entities.Memory{}, Now: func() time.Time { return w.now }, Log: slog.New(slog.DiscardHandler),
		Audit: func(context.Context, string, string, string, any, any, string) error { return nil },
		Event: func(key, _ string, over bool) { w.events = append(w.events, fmt.Sprint(key, over)) },
		Held: func(_ context.Context, id string, _ int64) ([]byte, error) {
			if id != "h-1" {
				return nil, control.Refuse(control.NotFound, "hold.none", "no such hold: %s", "id", id)
			}
			return []byte("what was held"), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = control.NewServer()
	w.desk.Handle(w.server)
	l, err := control.Listen(t.Context(), filepath.Join(state, gateway.Socket))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// run calls a command and holds its exit code against want.
func (w *world) run(want int, args ...string) string {
	w.t.Helper()
	var cli struct {
		Case      casecmd.Case      `cmd:""`
		Guarantee casecmd.Guarantee `cmd:""`
		Calendar  casecmd.Calendar  `cmd:""`
	}
	var out bytes.Buffer
	k, err := kong.New(&cli, kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		w.t.Fatal(err)
	}
	code := app.Fine
	kctx, err := k.Parse(args)
	if err != nil {
		code = app.Usage
	} else {
		a := &app.App{Ctx: w.t.Context(), Stdout: &out, Stderr: &out, Now: func() time.Time { return w.now }, Config: w.config, Command: kctx.Command()}
		if err = kctx.Run(a); err != nil {
			code = app.Fault
			var e *app.Exit
			if errors.As(err, &e) {
				code = e.Code
			}
		}
	}
	if code != want {
		w.t.Fatalf("%s: exit %d, want %d: %v\n%s", strings.Join(args, " "), code, want, err, out.String())
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

func (w *world) says(want int, text string, args ...string) {
	w.t.Helper()
	if out := w.run(want, args...); !strings.Contains(out, text) {
		w.t.Errorf("%s: %q is not in\n%s", strings.Join(args, " "), text, out)
	}
}

func runJSON[T any](w *world, args ...string) T {
	w.t.Helper()
	var v T
	if err := json.Unmarshal([]byte(w.run(app.Fine, append(args, "--json")...)), &v); err != nil {
		w.t.Fatal(err)
	}
	return v
}

// complaint is a proven one of a person.
func (w *world) complaint(report, account string) string {
	w.t.Helper()
	c, err := w.desk.Cases.Attach(w.t.Context(), cases.Complaint{
		Report: report, At: w.now, Raw: strings.Repeat("a", 64), Grade: 4, Sentence: "DKIM verified", Account: account, Serial: "s", Copy: report, Accepted: 3,
		Votes: 100, Client: netip.MustParseAddrPort("203.0.113.7:51514"), SentAt: w.now, Person: true, Trust: 1, Reporter: "r@example.net",
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

func TestACaseByCommand(t *testing.T) {
	w := newWorld(t)
	id := w.complaint("r1", "anna@a.test")
	w.says(app.Fine, "anna@a.test", "case", "list")
	w.says(app.Fine, "1 (1)", "case", "list", "unowned")
	w.says(app.Usage, "there is no view", "case", "list", "nonsense")
	w.says(app.Finding, "there is no case", "case", "show", "A-1999-000001")
	w.says(app.Fine, "TRIAGE", "case", "show", id)
	w.says(app.Fine, "r@example.net", "case", "reports", id)
	w.run(app.Fine, "case", "assign", id, "anna")
	w.says(app.Fine, id, "case", "list", "mine", "--owner", "anna")
	w.run(app.Fine, "case", "category", id, "s1", "S5")
	w.says(app.Usage, "S1 to S5", "case", "category", id, "S9")
	w.says(app.Fine, "U2", "case", "priority", id, "U2", "--reason", "two families")
	w.run(app.Usage, "case", "priority", id, "U7", "--reason", "x")
	w.run(app.Fine, "case", "comment", id, "called the customer")
	w.says(app.Finding, "cannot become SUSPENDED", "case", "state", id, "suspended", "--reason", "x")
	w.run(app.Usage, "case", "state", id, "verified") // no reason
	file := filepath.Join(t.TempDir(), "log.txt")
	if err := os.WriteFile(file, []byte("a slice of the log"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.run(app.Fine, "case", "evidence", id, file)
	w.says(app.Finding, "no such hold: h-2", "case", "evidence", id, "--held", "h-2")
	w.run(app.Fine, "case", "evidence", id, "--held", "h-1")
	w.says(app.Usage, "name a file or --held", "case", "evidence", id)
	w.says(app.Usage, "--ip needs", "case", "source", id, "--ip", "x", "--at", "2026-06-08T10:00:00Z", "--reason", "log")
	w.run(app.Fine, "case", "source", id, "--ip", "203.0.113.9:4000", "--at", "2026-06-08T10:00:00Z", "--reason", "log")
	w.says(app.Fine, "VERIFIED", "case", "state", id, "verified", "--reason", "seen")
	w.says(app.Fine, "WARNED", "case", "state", id, "warned", "--reason", "first time")
	w.run(app.Fine, "case", "answer", id, "--notice", "N-1")
	w.says(app.Finding, "name the notice", "case", "result", id)
	w.run(app.Fine, "case", "result", id, "--notice", "N-2")
	w.run(app.Fine, "case", "hold", id, "police")
	w.run(app.Fine, "case", "unhold", id, "over")
	shown := runJSON[casecalls.Shown](w, "case", "show", id)
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("what was held")))
	if !slices.ContainsFunc(shown.Case.Evidence, func(e cases.Evidence) bool { return e.Name == "h-1.eml" && e.Sum == sum }) {
		t.Errorf("the held message is no evidence: %+v", shown.Case.Evidence)
	}
	if shown.Case.Owner != "anna" || len(shown.Case.Seals) != 1 || len(shown.Timeline) < 12 || shown.Case.ResultNote != "N-2" || shown.Case.LegalHold {
		t.Errorf("%+v, %d events", shown.Case, len(shown.Timeline))
	}
	other := w.complaint("r2", "boris@a.test")
	w.says(app.Fine, id, "case", "merge", other, id, "--reason", "one customer")
	w.says(app.Fine, other, "case", "show", id)
	w.run(app.Fine, "case", "unmerge", other, "two after all")
	w.run(app.Fine, "case", "state", other, "rejected", "--reason", "solicited")
	w.says(app.Fine, "REOPENED", "case", "reopen", other, "he appeals", "--appeal", "letter")
	w.says(app.Fine, "DETECTED", "case", "open", "--ip", "192.0.2.1", "--reason", "trap hit")
	w.run(app.Usage, "case", "open", "--ip", "nowhere", "--reason", "x")
	w.says(app.Fine, "192.0.2.1", "case", "list", "--source", "192.0.2.1")
	f := runJSON[figures.Figures](w, "case", "figures", "--month", "2026-06")
	if f.Cases != 3 || f.First == nil || f.First.Count != 2 {
		t.Errorf("%+v", f)
	}
	w.run(app.Usage, "case", "figures")
	w.run(app.Usage, "case", "figures", "--month", "June")
}

func TestAGuaranteeByCommand(t *testing.T) {
	w := newWorld(t)
	id := w.complaint("r1", "anna@a.test")
	w.run(app.Fine, "case", "category", id, "S1")
	w.run(app.Fine, "case", "state", id, "verified", "--reason", "seen")
	w.says(app.Finding, "only a suspended account", "case", "end", id, "--reason", "x")
	w.says(app.Finding, "a guarantee is for a suspended account", "guarantee", "new", id)
	w.run(app.Fine, "case", "state", id, "suspended", "--reason", "stop", "--measure", "M-1", "--level", "5")
	p := runJSON[guarantee.Pack](w, "guarantee", "new", id, "--scope", "mailbox", "--company", "Acme")
	w.says(app.Finding, "licence copy", "guarantee", "submit", p.ID)
	dir := t.TempDir()
	for _, part := range []string{"letter", "suspension", "licence"} {
		file := filepath.Join(dir, part)
		if err := os.WriteFile(file, []byte(part), 0o600); err != nil {
			t.Fatal(err)
		}
		w.says(app.Fine, "SHA-256", "guarantee", "upload", p.ID, part, file)
	}
	w.says(app.Fine, "missing: signer, contact, phone, date", "guarantee", "show", p.ID)
	w.run(app.Fine, "guarantee", "fill", p.ID, "--signer", "A", "--contact", "it@a.test", "--phone", "1", "--date", "2026-06-08")
	w.says(app.Fine, "is waiting", "guarantee", "submit", p.ID)
	w.says(app.Finding, "another person", "guarantee", "approve", p.ID, "--reason", "fine")
	w.says(app.Fine, p.ID, "guarantee", "list", "--state", "waiting")
	// Somebody else, by another way in.
	lead := people.With(t.Context(), people.Principal{Name: "chief", Role: people.Lead})
	var approved guarantee.Pack
	if err := w.server.Call(lead, "guarantee.approve", casecalls.Pack{ID: p.ID, Reason: "fine"}, &approved); err != nil || approved.Approver != "chief" {
		t.Fatalf("%+v %v", approved, err)
	}
	w.says(app.Fine, id, "case", "list", "probation")
	w.says(app.Finding, "PROBATION", "guarantee", "purge", id, "--reason", "x")
	w.says(app.Finding, "cannot become", "guarantee", "override", id, "--reason", "x")
	if out := w.run(app.Fine, "guarantee", "certificates"); out != "" {
		t.Errorf("%s", out)
	}
	other := w.complaint("r2", "boris@a.test")
	w.run(app.Fine, "case", "category", other, "S1")
	w.run(app.Fine, "case", "state", other, "verified", "--reason", "seen")
	w.run(app.Fine, "case", "state", other, "suspended", "--reason", "stop", "--measure", "M-2", "--level", "5")
	w.now = w.now.Add(guarantee.KeepFor)
	w.says(app.Fine, "boris@a.test is gone", "guarantee", "purge", other, "--reason", "contract ended")
	w.says(app.Fine, "boris@a.test", "guarantee", "certificates", "--account", "boris@a.test")
	w.says(app.Fine, "RESOLVED", "guarantee", "override", other, "--reason", "court order")
}

func TestRolesOfPeople(t *testing.T) {
	w := newWorld(t)
	id := w.complaint("r1", "anna@a.test")
	for role, want := range map[people.Role]bool{people.Agent: true, people.Lead: true, people.Postmaster: true, people.Auditor: false, people.DomainAdmin: false} {
		ctx := people.With(t.Context(), people.Principal{Name: "x", Role: role})
		err := w.server.Call(ctx, "case.comment", casecalls.Work{ID: id, Reason: "hello"}, nil)
		if (err == nil) != want {
			t.Errorf("%s: %v", role, err)
		}
	}
	agent := people.With(t.Context(), people.Principal{Name: "x", Role: people.Agent, Token: "t1"})
	err := w.server.Call(agent, "guarantee.override", casecalls.Pack{Case: id, Reason: "x"}, nil)
	if err == nil || !strings.Contains(err.Error(), "only a lead") {
		t.Errorf("%v", err)
	}
}

func TestCalendarsByCommand(t *testing.T) {
	w := newWorld(t)
	w.says(app.Fine, "General Office of the State Council", "calendar", "show", "china")
	w.says(app.Fine, "WORK   2026-02-14", "calendar", "show", "china", "--year", "2026")
	w.says(app.Fine, "the calendars are complete", "calendar", "check")
	w.says(app.Fine, "Tue 2026-06-09 10:00 UTC", "calendar", "due")
	w.run(app.Usage, "calendar", "due", "--from", "yesterday")
	w.says(app.Finding, "there is no team", "calendar", "due", "--team", "moon")
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("teams.yaml", "teams:\n  - {name: cn, calendar: china}\n")
	if err := w.desk.Reload(dir); err != nil {
		t.Fatal(err)
	}
	w.says(app.Fine, "Sat 2026-02-14 17:30 Asia/Shanghai", "calendar", "due", "--from", "2026-02-13T17:30:00+08:00")
	w.now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	w.says(app.Finding, "provisional days for 2027", "calendar", "check")
	if err := w.desk.Tend(t.Context()); err != nil || len(w.events) != 1 || w.events[0] != "calendar-china-2027false" {
		t.Errorf("%v %v", w.events, err)
	}
	write("cn.yaml", "calendar: china\nzone: Asia/Shanghai\nyears:\n  - {year: 2027, status: final, source: the notice}\n")
	if err := w.desk.Reload(dir); err != nil {
		t.Fatal(err)
	}
	if err := w.desk.Tend(t.Context()); err != nil || w.events[len(w.events)-1] != "calendar-china-2027true" {
		t.Errorf("%v %v", w.events, err)
	}
	write("bad.yaml", "calendar: x\nzone: Mars\n")
	w.says(app.Finding, "bad.yaml:2:7", "calendar", "check", dir)
	if err := w.desk.Reload(dir); err == nil || w.desk.Calendars().Team("").Team().Name != "cn" {
		t.Errorf("%v", err)
	}
}

func TestAlarms(t *testing.T) {
	w := newWorld(t)
	id := w.complaint("r1", "anna@a.test")
	w.now = monday.Add(36 * time.Hour)
	if err := w.desk.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(w.events, " "); !strings.Contains(all, "case-"+id+"-T_result-50false") || !strings.Contains(all, "case-"+id+"-T_first-100false") {
		t.Errorf("%s", all)
	}
	w.run(app.Fine, "case", "state", id, "rejected", "--reason", "solicited")
	if all := strings.Join(w.events, " "); !strings.Contains(all, "case-"+id+"-T_first-100true") {
		t.Errorf("%s", all)
	}
}
