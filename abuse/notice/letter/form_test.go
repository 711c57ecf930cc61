package letter_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postern/abuse/notice/letter"
)

// A fault is told with the place it stands in.
func TestFaultsOfALetter(t *testing.T) {
	for _, c := range []struct {
		kind          letter.Kind
		subject, body string
		want          string
	}{
		{
			kind:    letter.Ack,
			subject: "[{{.Ticket}}] We have it",
			body:    "Thank you.\n\nBy {{.FirstDue}}.{{with .Link}} See {{.}}{{end}}{{if .Hours}} {{.Hours}}{{else}}–{{end}}\n",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "Dear reader,\n谢谢 {{.Tiket}}\n",
			want:    "body:2:6: there is no variable .Tiket, but About, Desk, FirstDue",
		},
		{
			kind:    letter.Ack,
			subject: "About {{.Account}}",
			body:    "x",
			want:    "subject:1:9: the letter ack may not say .Account",
		},
		{
			kind:    letter.Result,
			subject: "S",
			body:    "{{.Proof}}",
			want:    "body:1:3: the letter result may not say .Proof",
		},
		{
			kind:    letter.Warning,
			subject: "S",
			body:    "{{.Account}} {{.Proof}}",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "x\n{{.Ticket",
			want:    "body:2:1: unclosed action",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "x\n  {{if .Ticket}}",
			want:    "body:3:1: unexpected EOF",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{range 1000000000}}x{{end}}",
			want:    "body:1:9: only variables",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    `{{printf "%1000000d" 1}}`,
			want:    "body:1:3: only a variable can stand here",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{.Received.Unix}}",
			want:    "there is no variable .Received.Unix",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{.}}",
			want:    "body:1:3: only a variable can stand here",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{$x := .Ticket}}y",
			want:    "only a variable can stand here",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{define \"a\"}}x{{end}}y",
			want:    "no templates of its own",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{template \"a\"}}",
			want:    "only variables",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "{{with .Account}}{{.}}{{end}}",
			want:    "body:1:8: the letter ack may not say .Account",
		},
		{
			kind:    letter.Ack,
			subject: "A\nBcc: x@y.example",
			body:    "x",
			want:    "subject:1:2: a subject is one line",
		},
		{
			kind: letter.Ack,
			body: "x",
			want: "subject:1:1: there is no text",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    " \n\n",
			want:    "body:1:1: there is no text",
		},
		{
			kind:    letter.Ack,
			subject: strings.Repeat("S", letter.MaxSubject+1),
			body:    "x",
			want:    "subject:1:1: it has 301 octets, at most 300",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    strings.Repeat("x", letter.MaxBody+1),
			want:    "at most 4096 are sent",
		},
		{
			kind:    letter.Ack,
			subject: "S",
			body:    "\xff",
			want:    "body:1:1: no UTF-8",
		},
	} {
		_, problems := letter.Compile(c.kind, letter.Source{Subject: c.subject, Body: c.body})
		switch {
		case c.want == "" && len(problems) > 0:
			t.Errorf("%.60q: %v", c.body, problems)
		case c.want != "" && (len(problems) == 0 || !strings.Contains(problems[0].String(), c.want)):
			t.Errorf("%.60q: %v, want %s", c.body, problems, c.want)
		}
	}
}

// Every fault is told, not the first alone.
func TestAllFaultsAreTold(t *testing.T) {
	_, problems := letter.Compile(letter.Ack, letter.Source{Subject: "{{.A}}", Body: "{{.B}}\n{{.C}} {{.Proof}}\n"})
	var at []string
	for _, p := range problems {
		at = append(at, strings.Join(strings.SplitN(p.String(), ":", 4)[:3], ":"))
	}
	if want := []string{"subject:1:3", "body:1:3", "body:2:3", "body:2:10"}; !slices.Equal(at, want) {
		t.Errorf("%v, want %v", at, want)
	}
}

// The letters to reporters have no variable that says anything of a customer, in any language.
func TestReportersHearNothingOfCustomers(t *testing.T) {
	for _, kind := range []letter.Kind{letter.Ack, letter.NeedInfo, letter.Result, letter.Rejected, letter.NotOurs} {
		for _, name := range letter.Names(kind) {
			if name == "Account" || name == "Subject" || name == "Proof" && kind != letter.NotOurs {
				t.Errorf("%s may say %s", kind, name)
			}
		}
	}
}

// What stands under a condition may be missing; what does not may not.
func TestConditionsInALetter(t *testing.T) {
	f, problems := letter.Compile(letter.Warning, letter.Source{Subject: "{{.Ticket}}", Body: "{{with .Deadline}}By {{.}}.{{else}}Soon.{{end}} {{if .Measure}}{{.Measure}}{{end}}"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	v := vars()
	v.Deadline, v.Measure = letter.When{}, ""
	got, err := f.Write(v)
	if err != nil || !strings.Contains(got.Body, ".") || strings.Contains(got.Body, "MEASURE") {
		t.Errorf("%q %v", got.Body, err)
	}
	v.Ticket = ""
	if _, err := f.Write(v); !errors.Is(err, letter.ErrLetter) || !strings.Contains(err.Error(), "Ticket") {
		t.Error(err)
	}
	given, _ := letter.Compile(letter.Warning, letter.Source{Subject: "S", Body: "{{.Account}} {{.Deadline}}"})
	if lost := given.Without(f); !slices.Equal(lost, []string{"Account"}) {
		t.Errorf("no longer said: %v", lost)
	}
}

// A letter filled in with values of nobody is whole in every language.
func TestSamples(t *testing.T) {
	b := open(t, "")
	for _, kind := range letter.Sent() {
		for _, lang := range letter.Languages() {
			s, file, err := b.Source(lang, kind)
			f, problems := letter.Compile(kind, s)
			if err != nil || file != "" || len(problems) > 0 {
				t.Fatalf("%s %s: %q %v %v", lang, kind, file, err, problems)
			}
			if got, err := f.Write(letter.Sample(lang, kind, "Desk", "9-18")); err != nil || !script(lang, got.Body) {
				t.Errorf("%s %s: %v\n%s", lang, kind, err, got.Body)
			}
		}
	}
	if _, _, err := b.Source("de", letter.Ack); !errors.Is(err, letter.ErrLetter) {
		t.Error(err)
	}
}
