package stamp_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp"
)

// front is a signer and sealer that writes down what it was given.
type front struct {
	fields string
	err    error
	block  string
	saw    []string
}

func (f *front) read(open func() (io.Reader, error)) ([]byte, error) {
	for range 2 { // it may be read again
		r, err := open()
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		f.saw = append(f.saw, string(b))
	}
	return []byte(f.fields), f.err
}

func (f *front) Sign(_ *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	return f.read(open)
}

func (f *front) Seal(block []byte, _ *filter.Message, open func() (io.Reader, error)) ([]byte, error) {
	f.block = string(block)
	return f.read(open)
}

const whole = "Date: Sun, 22 Nov 2026 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nX-Spam-Flag: NO\r\n\r\nHi"

// What is signed or sealed is what goes out behind the signature or seal, to the last byte.
func TestFront(t *testing.T) {
	for _, d := range []filter.Direction{filter.Inbound, filter.Outbound} {
		for _, in := range []string{whole, " orphan\r\n" + whole, "From: a@b.example\r\n\r\n"} {
			for _, block := range []string{"", "Received: x\r\n"} {
				sign, seal := &front{fields: "DKIM-Signature: v=1\r\n"}, &front{fields: "ARC-Seal: i=1\r\n"}
				s := stamper()
				s.Signer, s.Sealer = sign, seal
				m := message(in)
				m.Direction = d
				got := read(t, s, []byte(block), m)
				used, other := seal, sign
				if d == filter.Outbound {
					used, other = sign, seal
				}
				if len(other.saw) != 0 || len(used.saw) != 2 {
					t.Fatalf("%v: %d and %d reads", d, len(used.saw), len(other.saw))
				}
				for _, saw := range used.saw {
					if got != used.fields+saw {
						t.Errorf("%v: out is\n%q, covered is\n%q", d, got, saw)
					}
				}
				if d == filter.Inbound && used.block != block {
					t.Errorf("the sealer was given %q", used.block)
				}
				if strings.Contains(got, "X-Spam-Flag: NO") || strings.HasPrefix(in, " ") != strings.Contains(got, "Comments:") {
					t.Errorf("%q", got)
				}
			}
		}
	}
}

func TestNothingInFront(t *testing.T) {
	s := stamper()
	s.Signer, s.Sealer = &front{}, &front{}
	for _, d := range []filter.Direction{filter.Inbound, filter.Outbound} {
		m := message(whole)
		m.Direction = d
		if got := read(t, s, []byte("Received: x\r\n"), m); got != "Received: x\r\n"+strings.Replace(whole, "X-Spam-Flag: NO\r\n", "", 1) {
			t.Errorf("%v: %q", d, got)
		}
	}
}

// A seal that fails is told and left out; a signature that fails keeps the message here.
func TestFrontFails(t *testing.T) {
	alerts := map[string]string{}
	s := stamper()
	f := &front{fields: "half", err: errors.New("key gone")}
	s.Signer, s.Sealer = f, f
	m := message(whole)
	for range 2 { // without anybody to tell, too
		got := read(t, s, nil, m)
		if strings.Contains(got, "half") || !strings.HasSuffix(got, "\r\n\r\nHi") {
			t.Errorf("%q", got)
		}
		s.Alert = func(key, text string, over bool) {
			if delete(alerts, key); !over {
				alerts[key] = text
			}
		}
	}
	if got := alerts["arc-seal"]; got != "mail goes on without an ARC seal: key gone" {
		t.Errorf("%v", alerts)
	}
	m.Direction = filter.Outbound
	if _, _, err := s.Open(nil, m); err == nil || err.Error() != "signing: key gone" {
		t.Errorf("%v", err)
	}
	f.err = nil
	m.Direction = filter.Inbound
	if read(t, s, nil, m); len(alerts) != 0 {
		t.Errorf("no all-clear: %v", alerts)
	}
}

// Outbound mail that lacks them is given a Date and a Message-ID, always the same.
func TestMissingFields(t *testing.T) {
	const date, msgID = "Date: Sun, 22 Nov 2026 03:04:05 +0000\r\n", "Message-ID: <01hf7yat00zzzzzzzzzzzzzzzz@mx1.example.com>\r\n"
	for in, want := range map[string]string{
		"From: a@b.example\r\n\r\nx": date + msgID,
		"":                           date + msgID,
		"date : x\r\n\r\nMessage-ID: in the body": msgID,
		"MESSAGE-ID:\r\n <x@y>\r\n\r\n":           date,
		"Date: x\r\nMessage-Id: <x@y>\r\n\r\n":    "",
		"X-Date: x\r\nSubject: a\r\n Date: x\r\n": date + msgID,
		"DKIM-Signature: v=1; h=date\r\n\r\nx":    "", // it would break
		" orphan\r\nDate: x\r\n\r\n":              msgID + "Comments: the next line had no field name\r\n",
	} {
		s := stamper()
		m := message(in)
		m.Direction = filter.Outbound
		for range 2 {
			if got := read(t, s, []byte("Received: x\r\n"), m); got != "Received: x\r\n"+want+in {
				t.Errorf("%q became %q", in, got)
			}
		}
		m.Direction = filter.Inbound
		if got := read(t, s, nil, m); got != in {
			t.Errorf("inbound %q became %q", in, got)
		}
	}
	if got := stamper().MessageID(message("")); "Message-ID: "+got+"\r\n" != msgID {
		t.Error(got)
	}
}

func TestStripped(t *testing.T) {
	s := stamper()
	m := message("X-Postern-Stripped: 9\r\nSubject: x\r\n\r\n")
	h := parse(t, read(t, s, s.Block(m, filter.Verdict{Strip: []string{"1.2", "1.3.1", "1.a1\r\nX: y"}}, filter.Report{}, nil), m))
	if got := h["X-Postern-Stripped"]; len(got) != 1 || got[0] != "1.2, 1.3.1, 1.a1??X??y" {
		t.Errorf("%q", got)
	}
	h = parse(t, read(t, s, s.Block(m, filter.Verdict{}, filter.Report{}, nil), m))
	if got := h["X-Postern-Stripped"]; got != nil {
		t.Errorf("%q", got)
	}
	s.Names.Stripped = ""
	m = message(": no name\r\nX-Postern-Stripped: 9\r\n\r\n")
	block := s.Block(m, filter.Verdict{Strip: []string{"1.2"}}, filter.Report{}, nil)
	if got := read(t, s, block, m); strings.Contains(string(block), "Stripped") || !strings.HasSuffix(got, ": no name\r\nX-Postern-Stripped: 9\r\n\r\n") {
		t.Errorf("%q", got)
	}
}

var (
	_ stamp.Signer = (*front)(nil)
	_ stamp.Sealer = (*front)(nil)
)
