package judge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/learning"
)

// TestLearned: scan and eval say what the words say when they are asked to, by what a home without
// a server has learned.
func TestLearned(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "postern.yaml")
	text := "hostname: mx.example.org\nstate: " + filepath.Join(dir, "state") + "\nlisteners: [{name: mx, kind: inbound, addr: 127.0.0.1:0}]\nbackends: {behind: [{addr: 127.0.0.1:1}]}\nroutes: {example.org: {backend: behind}}\nlearning: {aside: 0}\nrules: {dir: ''}\n"
	for path, text := range map[string]string{config: text, filepath.Join(dir, "ham", "a", "one.eml"): letterOf("ham", 1000), filepath.Join(dir, "spam", "a", "one.eml"): letterOf("spam", 1000)} {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	a := &app.App{Ctx: t.Context(), Config: config, Stdout: &out, Stderr: io.Discard, Now: time.Now}
	teach(t, a)
	for path, want := range map[string]string{"ham/a/one.eml": "BAYES_05", "spam/a/one.eml": "BAYES_95"} {
		for _, learned := range []bool{true, false} {
			out.Reset()
			_ = (&Scan{Files: []string{filepath.Join(dir, path)}, Offline: true, JSON: true, Learned: learned}).Run(a)
			if got := strings.Contains(out.String(), want); got != learned {
				t.Errorf("%s, learned %v: %s", path, learned, out.String())
			}
		}
	}
	scores := filepath.Join(dir, "scores")
	var before []byte
	for _, learned := range []bool{true, false} {
		out.Reset()
		if err := (&Eval{Ham: filepath.Join(dir, "ham"), Spam: filepath.Join(dir, "spam"), Scores: scores, JSON: true, Learned: learned}).Run(a); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(scores)
		if err != nil || bytes.Equal(b, before) {
			t.Errorf("eval says the same with and without what was learned: %s, %v", b, err)
		}
		before = b
	}
	var report map[string]json.RawMessage
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || string(report["messages"]) != "2" {
		t.Errorf("%s, %v", out.String(), err)
	}
}

func letterOf(kind string, n int) string {
	words := map[string]string{"spam": "lovely seaside holidays offered by our wonderful travel club this summer", "ham": "agenda of the meeting about budgets which Bob will chair next quarter"}[kind]
	return fmt.Sprintf("From: a@%s.example\r\nMessage-ID: <%d@%s>\r\nSubject: about %s\r\n\r\n%s\r\n", kind, n, kind, words[:6], words)
}

func teach(t *testing.T, a *app.App) {
	t.Helper()
	server, done, err := a.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	for _, class := range []string{"spam", "ham"} {
		p := learning.Messages{Class: class}
		for n := range 40 {
			p.All = append(p.All, learning.Letter{Body: []byte(letterOf(class, n))})
		}
		if err := server.Call(t.Context(), "learn.messages", p, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// away is a server that gives no answer.
type away struct{}

func (away) Call(context.Context, string, any, any) error { return io.ErrUnexpectedEOF }

// TestLearnedAway: what gave no answer is not checked, and changes nothing.
func TestLearnedAway(t *testing.T) {
	a := &app.App{Ctx: t.Context(), Stdout: io.Discard, Now: time.Now}
	o, done, err := build(a, options{})
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	o.ask(away{})
	j, err := o.judge(t.Context(), []byte(letterOf("ham", 1)), Circumstances{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range j.report.Failures {
		if f.Step == "learned" && strings.Contains(f.Reason, "gave no answer") {
			return
		}
	}
	t.Errorf("nothing is said of what was not checked: %+v", j.report.Failures)
}
