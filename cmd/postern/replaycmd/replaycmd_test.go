package replaycmd_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/features"
	"postern/cmd/postern/replaycmd"
	"postern/filter"
	"postern/internal/store/local"
	"postern/rules"
	"postern/rules/replay"
)

const prize = "patterns:\n  - {id: OWN_PRIZE, describe: The subject announces a prize, in: subject, match: 'prize', score: %s, tests: {hit: [prize], miss: [lunch]}}\n"

// world is a folder with two sets of rules, mail, and a configuration.
type world struct {
	t   *testing.T
	dir string
}

func newWorld(t *testing.T) *world {
	w := &world{t, t.TempDir()}
	w.put("now/own.yaml", fmt.Sprintf(prize, "1"))
	w.put("next/own.yaml", fmt.Sprintf(prize, "9"))
	w.put("broken/own.yaml", "patterns: [{}]\n")
	for i := range 4 {
		w.put(fmt.Sprintf("ham/%d.eml", i), "From: a@b.example\nSubject: lunch\n\nat noon\n")
		w.put(fmt.Sprintf("spam/%d.eml", i), "From: a@b.example\nSubject: a prize\n\nfor you\n")
	}
	w.put("ham/x.eml", "From: a@b.example\nSubject: the first prize of our club\n\nat noon\n")
	w.put("postern.yaml", fmt.Sprintf("hostname: mx1.example.com\nstate: %s/state\nlisteners:\n  - {name: mx, addr: '127.0.0.1:0', kind: inbound}\nbackends:\n  mail: [{addr: '127.0.0.1:1'}]\nroutes:\n  example.com: {backend: mail}\nrules: {dir: %s/now}\n", w.dir, w.dir))
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) put(name, text string) {
	w.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(w.path(name)), 0o700), os.WriteFile(w.path(name), []byte(text), 0o600)); err != nil {
		w.t.Fatal(err)
	}
}

// says runs the command and holds how it ends and what it prints against what is wanted.
func (w *world) says(want int, dir string, c replaycmd.Replay, texts ...string) string {
	w.t.Helper()
	var out bytes.Buffer
	a := &app.App{Ctx: w.t.Context(), Stdout: &out, Stderr: &out, Now: time.Now, Config: w.path("postern.yaml")}
	code := app.Fine
	if err := c.Run(a, dir); err != nil {
		code = app.Fault
		var e *app.Exit
		if errors.As(err, &e) {
			code = e.Code
		}
		fmt.Fprintln(&out, err)
	}
	if code != want {
		w.t.Errorf("%+v: exit %d, want %d\n%s", c, code, want, out.String())
	}
	for _, text := range texts {
		if !strings.Contains(out.String(), text) {
			w.t.Errorf("%+v: lacks %q\n%s", c, text, out.String())
		}
	}
	return out.String()
}

// TestFoldersNeedNoServer: mail is judged whole, so that changed expressions count too, and
// labelled mail fails a run only by what becomes wrong.
func TestFoldersNeedNoServer(t *testing.T) {
	w := newWorld(t)
	ham, spam := []string{w.path("ham")}, []string{w.path("spam")}
	now, next := w.path("now"), w.path("next")
	w.says(app.Fine, now, replaycmd.Replay{FailOver: -1, Rules: next, Ham: ham, Spam: spam}, "9 messages: 9 known, 0 not known", "stricter: 5 = 55.556 %",
		"ham: 5 messages; becomes wrong 1 = 20.000 %", "spam: 4 messages; becomes wrong 0 = 0.000 %", "becomes right 4", "accept -> quarantine: 5", "x.eml", "OWN_PRIZE +1.00 -> +9.00")
	w.says(app.Finding, now, replaycmd.Replay{FailOver: 0.1, Rules: next, Ham: ham, Spam: spam}, "0.1111 of the verdicts flip or become wrong, more than 0.1")
	w.says(app.Fine, now, replaycmd.Replay{FailOver: 0.2, Rules: next, Ham: ham, Spam: spam})
	w.says(app.Finding, now, replaycmd.Replay{FailOver: 0.5, Rules: next, Folder: append(ham, spam...)}, "0.5556")
	w.says(app.Finding, next, replaycmd.Replay{FailOver: 0, Rules: now, Spam: ham}, "milder:   1 ", "becomes wrong 1") // spam let through
	w.says(app.Fine, "", replaycmd.Replay{FailOver: 0, Folder: ham}, "stricter: 0 = 0.000 %", "milder:   0")
	var r replaycmd.Answer
	if err := json.Unmarshal([]byte(w.says(app.Fine, now, replaycmd.Replay{FailOver: -1, Rules: next, Ham: ham, JSON: true})), &r); err != nil || r.Stricter.N != 1 || r.Ham.Worse.N != 1 || r.Flips[0].Examples[0].Label != "ham" || r.Kept != nil {
		t.Errorf("%+v %v", r, err)
	}
	w.says(app.Usage, now, replaycmd.Replay{FailOver: -1, Rules: w.path("broken"), Folder: ham}, "has no id")
	w.says(app.Usage, now, replaycmd.Replay{FailOver: -1, Folder: ham, Days: 3}, "--days")
	w.says(app.Usage, now, replaycmd.Replay{FailOver: 2, Folder: ham}, "--fail-over")
	w.says(app.Usage, now, replaycmd.Replay{FailOver: -1}, "for folders")
}

// TestTheMailThatPassed is asked for without a server too: the home is opened for it.
func TestTheMailThatPassed(t *testing.T) {
	w := newWorld(t)
	set, err := rules.Load(w.path("now"))
	if err != nil {
		t.Fatal(err)
	}
	home, err := local.Open(t.Context(), local.Options{Dir: w.path("state"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	book := features.New(features.Parts{Store: home.Entities(), Node: "mx1.example.com", Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Keep: func() features.Keep { return features.Keep{For: 24 * time.Hour, Bytes: 1e6} }, Rules: func() *rules.Set { return set }})
	for i := range 10 {
		id, err := filter.NewID(time.Now(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		m := &filter.Message{ID: id, Body: bytes.NewReader(nil), To: []filter.Recipient{{Address: "ben@example.com", Policy: "default"}}}
		var r filter.Report
		if i == 0 {
			r.Findings = []filter.Finding{{Symbol: "OWN_PRIZE", Step: replay.StepPatterns}}
		}
		if err := book.Done(t.Context(), m, filter.Outcome{Report: r, Verdicts: filter.Verdicts(set, m, r)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(book.Flush(t.Context()), home.Close()); err != nil {
		t.Fatal(err)
	}
	w.says(app.Fine, "", replaycmd.Replay{FailOver: -1, Rules: w.path("next"), Days: 2}, "the last 2 days: features of 10 of 10 messages are kept", "10 messages: 10 known", "stricter: 1 = 10.000 %", "accept -> quarantine: 1", "OWN_PRIZE +1.00 -> +9.00")
	w.says(app.Finding, "", replaycmd.Replay{FailOver: 0.05, Rules: w.path("next")}, "more than 0.05")
	w.put("next/own.yaml", strings.Replace(fmt.Sprintf(prize, "9"), "match: 'prize'", "match: 'a prize|prizes|prize'", 1))
	w.says(app.Fine, "", replaycmd.Replay{FailOver: 0, Rules: w.path("next")}, "0 known, 10 not known", "OWN_PRIZE leaves 10 messages open", "judge a folder of mail instead")
	w.says(app.Usage, "", replaycmd.Replay{FailOver: -1, Rules: w.path("broken")}, "has no id")
	w.says(app.Usage, "", replaycmd.Replay{FailOver: -1, Days: 91}, "days: 0 to 90")
}
