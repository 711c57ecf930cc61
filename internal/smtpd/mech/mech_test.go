package mech

import (
	"errors"
	"strings"
	"testing"
)

// talk gives the responses one by one and returns the challenges.
func talk(t *testing.T, name string, responses ...[]byte) (user, secret string, challenges []string, err error) {
	t.Helper()
	s := Server(name, func(u, p string) error { user, secret = u, p; return nil })
	if s == nil {
		t.Fatalf("%s is not known", name)
	}
	for _, r := range responses {
		c, done, err := s.Next(r)
		if err != nil || done {
			return user, secret, challenges, err
		}
		challenges = append(challenges, string(c))
	}
	return user, secret, challenges, errors.New("not done")
}

func TestMechanisms(t *testing.T) {
	for _, tt := range []struct {
		name       string
		responses  []string // "-" = none
		challenges string
	}{
		{"PLAIN", []string{"\x00user\x00pass word"}, ""},
		{"plain", []string{"-", "user\x00user\x00pass word"}, ""},
		{"LOGIN", []string{"-", "user", "pass word"}, "Username:|Password:"},
		{"LOGIN", []string{"user", "pass word"}, "Password:"},
		{"XOAUTH2", []string{"user=user\x01auth=Bearer pass.word\x01\x01"}, ""},
		{"XOAUTH2", []string{"-", "user=user\x01auth=bearer pass.word\x01\x01"}, ""},
	} {
		var in [][]byte
		for _, r := range tt.responses {
			if r == "-" {
				in = append(in, nil)
			} else {
				in = append(in, []byte(r))
			}
		}
		user, secret, challenges, err := talk(t, tt.name, in...)
		if err != nil || user != "user" || strings.Trim(strings.Replace(secret, ".", " ", 1), "") != "pass word" {
			t.Errorf("%s %q: %q %q %v", tt.name, tt.responses, user, secret, err)
		}
		if got := strings.Trim(strings.Join(challenges, "|"), "|"); got != tt.challenges {
			t.Errorf("%s: asked %q", tt.name, got)
		}
	}
}

func TestMalformed(t *testing.T) {
	for _, tt := range []struct{ name, response string }{
		{"PLAIN", ""}, {"PLAIN", "user\x00pass"}, {"PLAIN", "\x00\x00pass"}, {"PLAIN", "\x00user\x00"}, {"PLAIN", "a\x00b\x00c\x00d"}, {"PLAIN", "other\x00user\x00pass"},
		{"PLAIN", "\x00us\rer\x00pass"}, {"PLAIN", "\x00" + strings.Repeat("u", maxUser+1) + "\x00pass"}, {"PLAIN", "\x00user\x00" + strings.Repeat("s", maxSecret+1)}, {"PLAIN", "\x00\xff\x00pass"},
		{"XOAUTH2", ""}, {"XOAUTH2", "user=u\x01auth=Bearer t\x01"}, {"XOAUTH2", "auth=Bearer t\x01\x01"}, {"XOAUTH2", "user=u\x01\x01"}, {"XOAUTH2", "user=u\x01auth=Basic t\x01\x01"},
		{"XOAUTH2", "user=u\x01auth=Bearer a b\x01\x01"}, {"XOAUTH2", "user=u\x01auth=Bearer \xc3\xa4\x01\x01"},
	} {
		if user, secret, _, err := talk(t, tt.name, []byte(tt.response)); !errors.Is(err, ErrMalformed) || user+secret != "" {
			t.Errorf("%s %q: %q %q %v", tt.name, tt.response, user, secret, err)
		}
	}
	for _, in := range [][2]string{{"", "x"}, {"u", ""}, {"u", "a\x00b"}} {
		if _, _, _, err := talk(t, "LOGIN", []byte(in[0]), []byte(in[1])); !errors.Is(err, ErrMalformed) {
			t.Errorf("LOGIN %q: %v", in, err)
		}
	}
}

func TestRefusedAndUnknown(t *testing.T) {
	no := errors.New("no")
	_, done, err := Server("PLAIN", func(string, string) error { return no }).Next([]byte("\x00u\x00p"))
	if !done || !errors.Is(err, no) {
		t.Errorf("%v %v", done, err)
	}
	if Server("CRAM-MD5", nil) != nil || Server("", nil) != nil {
		t.Error("unknown mechanisms are known")
	}
}
