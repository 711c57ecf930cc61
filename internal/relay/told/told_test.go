package told_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/relay/client"
	"postern/internal/relay/told"
)

var m = &filter.Message{ID: "ID"}

func TestLine(t *testing.T) {
	for want, r := range map[string]client.Reply{
		"250 2.0.0 ok":            {Code: 250, Enhanced: "2.0.0", Text: "ok"},
		"550 5.0.0 no":            {Code: 550, Enhanced: "4.1.1", Text: "no"},
		"451 4.0.0":               {Code: 451},
		"550 5.1.1 a??b?[1m?":     {Code: 550, Enhanced: "5.1.1", Text: "a\r\nb\x1b[1m\x7f"},
		"550 5.1.1 ??":            {Code: 550, Enhanced: "5.1.1", Text: "é\xff"},
		"452 4.2.2 mailbox full.": {Code: 452, Enhanced: "4.2.2", Text: "mailbox full."},
	} {
		if got := told.Line(r); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := told.Line(client.Reply{Code: 550, Text: strings.Repeat("x", 5000)}); len(got) > 512 {
		t.Errorf("%d octets in a reply line", len(got))
	}
}

func TestParseIsTheInverseOfLine(t *testing.T) {
	for _, s := range []string{"250 2.0.0 held for review, id 7", "550 5.7.1 no (ref X)", "451 4.0.0"} {
		if got := told.Line(told.Parse(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if r := told.Parse(""); r.Code != 0 {
		t.Errorf("%+v", r)
	}
}

func TestSentence(t *testing.T) {
	for _, c := range []struct {
		public string
		class  byte
		want   string
	}{
		{"550 5.7.1 no (ref X)", '5', "550 5.7.1 no (ref X)"},
		{"550 5.7.1 no", '4', "451 4.7.1 "}, {"451 4.7.1 later", '5', "550 5.7.1 the message was refused (ref ID)"},
		{"421 4.7.1 bye", '4', "451 4.7.1 "}, {"", '5', "550 5.7.1 "}, {"55", '5', "550 5.7.1 "}, {"569 5.7.1 x", '5', "550 5.7.1 "}, {"5xx 5.7.1 x", '5', "550 5.7.1 "},
	} {
		if got := told.Sentence(filter.Verdict{Public: c.public}, m, c.class); !strings.HasPrefix(got, c.want) {
			t.Errorf("%q: %q, want %q", c.public, got, c.want)
		}
	}
}

func TestError(t *testing.T) {
	for _, err := range []error{
		io.EOF, &client.Error{Stage: client.StageConnect, Err: io.EOF}, &client.BodyError{What: "bare LF"},
		&client.Error{Stage: client.StageHello, Reply: client.Reply{Code: 554, Text: "secret host"}}, errors.Join(io.EOF, io.ErrNoProgress),
	} {
		r := told.Error(err)
		if !r.Temporary() || r.Code == 421 || strings.Contains(r.Text, "secret") || strings.Contains(r.Text, "EOF") {
			t.Errorf("%v is told as %q", err, told.Line(r))
		}
	}
}

func FuzzLine(f *testing.F) {
	f.Add(550, "5.1.1", "no\r\n250 ok")
	f.Fuzz(func(t *testing.T, code int, enhanced, text string) {
		r := told.Answer(client.Reply{Code: code, Enhanced: enhanced, Text: text})
		s := told.Line(r)
		if s[3] != ' ' || s[0] < '2' || s[0] > '5' || strings.ContainsAny(s, "\r\n\x00") || len(s) > 512 {
			t.Fatalf("%q", s)
		}
	})
}
