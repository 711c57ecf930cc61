package instream

import (
	"errors"
	"strings"
	"testing"
)

func TestParseReply(t *testing.T) {
	md5 := strings.Repeat("0a", 16)
	for _, c := range []struct {
		name, raw string
		want      Reply
		kind      Kind
	}{
		{name: "ok", raw: "stream: OK\x00", want: Reply{Verdict: Clean}},
		{name: "found", raw: "stream: Win.Test FOUND\x00", want: Reply{Infected, "Win.Test"}},
		{name: "found, extended as Debian configures it", raw: "stream: Win.Test(" + md5 + ":68) FOUND\x00", want: Reply{Infected, "Win.Test"}},
		{name: "found, a colon in the name", raw: "stream: A:B FOUND\x00", want: Reply{Infected, "A:B"}},
		{name: "found, a name with parentheses", raw: "stream: A(b) FOUND\x00", want: Reply{Infected, "A(b)"}},
		{name: "found, control characters", raw: "stream: A\x1b[1m\xff FOUND\x00", want: Reply{Infected, "A?[1m?"}},
		{name: "found, long name", raw: "stream: " + strings.Repeat("a", 900) + " FOUND\x00", want: Reply{Infected, strings.Repeat("a", 200)}},
		{name: "size", raw: "INSTREAM size limit exceeded. ERROR\x00", want: Reply{Verdict: TooLarge}},
		{name: "memory", raw: "stream: Can't allocate memory ERROR\x00", kind: Refused},
		{name: "timed out", raw: "COMMAND READ TIMED OUT\x00", kind: Garbage},
		{name: "queue", raw: "Can't get thread ERROR\x00", kind: Refused},
		{name: "unknown", raw: "UNKNOWN COMMAND\x00", kind: Garbage},
		{name: "empty", raw: "", kind: Crashed},
		{name: "only a terminator", raw: "\x00", kind: Garbage},
		{name: "no terminator", raw: "stream: OK", kind: Garbage},
		{name: "newline", raw: "stream: OK\n", kind: Garbage},
		{name: "cut", raw: "stream: O\x00", kind: Garbage},
		{name: "lower case", raw: "stream: ok\x00", kind: Garbage},
		{name: "no prefix", raw: "OK\x00", kind: Garbage},
		{name: "other prefix", raw: "/etc/passwd: OK\x00", kind: Garbage},
		{name: "two replies", raw: "stream: OK\x00stream: Win.Test FOUND\x00", kind: Garbage},
		{name: "two lines", raw: "stream: OK\nstream: OK\x00", kind: Garbage},
		{name: "found without a name", raw: "stream:  FOUND\x00", kind: Garbage},
		{name: "id session", raw: "1: stream: OK\x00", kind: Garbage},
		{name: "long", raw: strings.Repeat("a", maxReply) + "\x00", kind: Garbage},
		{name: "trailing space", raw: "stream: OK \x00", kind: Garbage},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseReply([]byte(c.raw))
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			var e *Error
			if c.want.Verdict == NoAnswer && (!errors.As(err, &e) || e.Kind != c.kind) {
				t.Errorf("error %v, want kind %d", err, c.kind)
			}
		})
	}
}

func FuzzParseReply(f *testing.F) {
	for _, s := range []string{"stream: OK\x00", "stream: A FOUND\x00", "x ERROR\x00", "", "\x00", "stream: A(00000000000000000000000000000000:1) FOUND\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := parseReply(raw)
		if (r.Verdict == Clean) != (string(raw) == "stream: OK\x00") {
			t.Fatalf("%q is %+v", raw, r)
		}
		if (err == nil) == (r.Verdict == NoAnswer) {
			t.Fatalf("%q: %+v with %v", raw, r, err)
		}
		text := r.Signature
		if err != nil {
			text = err.Error()
		}
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q lets %q through", raw, text)
			}
		}
	})
}
