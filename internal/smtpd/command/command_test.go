package command

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	for in, want := range map[string][2]string{"ehlo x": {"EHLO", "x"}, "QUIT": {"QUIT", ""}, "": {"", ""}, "Mail  FROM:<a> ": {"MAIL", "FROM:<a>"}, " x": {"", "x"}} {
		if v, a := Split(in); v != want[0] || a != want[1] {
			t.Errorf("%q: %q %q", in, v, a)
		}
	}
}

func TestPath(t *testing.T) {
	for in, want := range map[string][2]string{
		"FROM:<>":                     {"", ""},
		"from: <a@b.test>":            {"a@b.test", ""},
		"FROM:<a@b.test> SIZE=1":      {"a@b.test", " SIZE=1"},
		"FROM:a@b.test SIZE=1":        {"a@b.test", "SIZE=1"},
		`FROM:<"a> b"@c.test> BODY=X`: {`"a> b"@c.test`, " BODY=X"},
		`FROM:<"a\"> "@c.test>`:       {`"a\"> "@c.test`, ""},
		"FROM:<@a:b@c>":               {"@a:b@c", ""},
	} {
		p, rest, err := Path(in, "FROM:")
		if err != nil || p != want[0] || rest != want[1] {
			t.Errorf("%s: %q %q %v", in, p, rest, err)
		}
	}
	for _, in := range []string{"", "FROM", "FROM:", "TO:<a>", "FROM:<a", "FROM:<a<b>", "FROM:<a>SIZE=1", `FROM:<"a>`, "FROM:a>b", `FROM:"a b"@c`, "FROM:<a> <b"} {
		if p, rest, err := Path(in, "FROM:"); err == nil && in != "FROM:<a> <b" {
			t.Errorf("%s: %q %q", in, p, rest)
		}
	}
}

func TestParams(t *testing.T) {
	got, err := Params(" size=10  BODY=8bitmime SMTPUTF8 ")
	if err != nil || len(got) != 3 || got[0] != (Param{"SIZE", "10"}) || got[2] != (Param{"SMTPUTF8", ""}) {
		t.Errorf("%v %v", got, err)
	}
	for in, want := range map[string]error{"A=1 a=2": ErrDuplicate, "=x": ErrSyntax, "A=": ErrSyntax, "A=b=c": ErrSyntax, strings.Repeat("A ", 17): ErrTooMany} {
		if _, err := Params(in); !errors.Is(err, want) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSize(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "10": 10, "5000000000": 5_000_000_000, "9223372036854775808": 1<<63 - 1, "18446744073709551616": 1<<63 - 1} {
		if n, err := Size(in); err != nil || n != want {
			t.Errorf("%s: %d %v", in, n, err)
		}
	}
	for _, in := range []string{"", "-1", "+1", "1x", "0x1", "1 ", "999999999999999999999"} {
		if n, err := Size(in); err == nil {
			t.Errorf("%q: %d", in, n)
		}
	}
}

func TestForeign(t *testing.T) {
	for _, in := range []string{"GET / HTTP/1.1", "post /x", "CONNECT a:1 HTTP/1.0", "PROXY TCP4 1.2.3.4", "Host: x", "\x16\x03\x01", "SSH-2.0-x", "\x00", "PRI * HTTP/2.0"} {
		if !Foreign(in) {
			t.Errorf("%q is taken for SMTP", in)
		}
	}
	for _, in := range []string{"EHLO get", "HELP", "", "GET", "PUT it away", "\x16", "DELETE", "MAIL FROM:<a/HTTP/1.1@b>"} {
		if Foreign(in) {
			t.Errorf("%q is taken for another protocol", in)
		}
	}
}

func TestXClient(t *testing.T) {
	x, err := ParseXClient("NAME=a+2Bb.test ADDR=IPv6:2001:db8::1 port=25 HELO=[UNAVAILABLE] LOGIN=u PROTO=SMTP DESTADDR=x DESTPORT=1 REVERSE_NAME=y")
	if err != nil || *x.Name != "a+b.test" || *x.Addr != netip.MustParseAddr("2001:db8::1") || *x.Port != 25 || *x.Helo != "" || *x.Login != "u" {
		t.Errorf("%+v %v", x, err)
	}
	x, err = ParseXClient("ADDR=[UNAVAILABLE] PORT=[TEMPUNAVAIL]")
	if err != nil || x.Addr.IsValid() || *x.Port != 0 || x.Name != nil {
		t.Errorf("%+v %v", x, err)
	}
	x, err = ParseXClient("ADDR=::ffff:192.0.2.1")
	if err != nil || *x.Addr != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("%+v %v", x, err)
	}
	if x, err := ParseXClient("HELO=a+20b NAME=a(b)"); err != nil || *x.Helo != "" || *x.Name != "" {
		t.Errorf("%+v %v", x, err)
	}
	for _, in := range []string{"", "NAME", "ADDR=x", "PORT=-1", "PORT=65536", "X=1", "NAME=+", "NAME=+4", "NAME=+GG", "NAME=a+00b", "HELO=" + strings.Repeat("x", 256), strings.Repeat("NAME=x ", 17)} {
		if x, err := ParseXClient(in); err == nil {
			t.Errorf("%q: %+v", in, x)
		}
	}
}

func TestReply(t *testing.T) {
	for in, want := range map[string]Reply{
		"250 2.0.0 ok":         {250, [3]int{2, 0, 0}, "ok"},
		"250 ok":               {250, [3]int{}, "ok"},
		"550 5.7.1":            {550, [3]int{5, 7, 1}, ""},
		"421":                  {421, [3]int{}, ""},
		"451 5.7.1 mismatched": {451, [3]int{}, "5.7.1 mismatched"},
		"550 5.7.1234 x":       {550, [3]int{}, "5.7.1234 x"},
		"550 5.711.123 x":      {550, [3]int{5, 711, 123}, "x"},
	} {
		r, ok := ParseReply(in)
		if !ok || *r != want {
			t.Errorf("%q: %+v %v", in, r, ok)
		}
	}
	for _, in := range []string{"", "25", "2500", "250-x", "abc x", "354 go", "100 x", "199 x", "600 x", "-25 x"} {
		if r, ok := ParseReply(in); ok {
			t.Errorf("%q: %+v", in, r)
		}
	}
	long := NewReply(550, 7, 1, "a\r\nb\x1bü"+strings.Repeat("x", 1000)).Error()
	if !strings.HasPrefix(long, "550 5.7.1 a??b?") || len(long) > 510 || strings.ContainsAny(long, "\r\n\x1b") {
		t.Errorf("%d %q", len(long), long)
	}
	if got := (&Reply{Code: 354, Text: "go"}).String(); got != "354 go" {
		t.Error(got)
	}
}

func TestPlain(t *testing.T) {
	if Plain("a\x00") || Plain("a\r") || Plain("\x7f") || !Plain("a\tb ü") || ASCII("ü") || !ASCII("a~") {
		t.Error("Plain, ASCII")
	}
}

func FuzzCommand(f *testing.F) {
	for _, s := range []string{"MAIL FROM:<a@b> SIZE=1", `RCPT TO:<"a\">"@b>`, "XCLIENT NAME=+41 ADDR=1.2.3.4", "250 2.0.0 ok", "GET / HTTP/1.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		verb, arg := Split(s)
		Foreign(s)
		if p, rest, err := Path(arg, "FROM:"); err == nil {
			if len(p)+len(rest) > len(arg) {
				t.Fatalf("%q: %q %q", arg, p, rest)
			}
			_, _ = Params(rest)
		}
		_, _ = ParseXClient(arg)
		_, _ = Size(verb)
		if r, ok := ParseReply(s); ok && strings.ContainsAny(r.String(), "\r\n") {
			t.Fatalf("%q", r.String())
		}
	})
}
