package sign_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp"
	"postern/internal/stamp/keys"
)

func gateway(t *testing.T, domains ...string) *world {
	w := newWorld(t, domains...)
	w.signer.Gateway = func() string { return "gw.example" }
	w.signer.Also = []string{"X-Postern-Trace"}
	return w
}

// traced signs a message and returns it with the domains that sign it.
func traced(t *testing.T, w *world, raw string) (text string, domains []string) {
	t.Helper()
	text = w.out(w.message(raw))
	for _, m := range regexp.MustCompile(`d=([a-z.]+);`).FindAllStringSubmatch(text, -1) {
		domains = append(domains, m[1])
	}
	return text, domains
}

const letter = "From: Joe <joe@us.example>\r\nTo: a@b.example\r\nDate: x\r\nMessage-ID: <1@us.example>\r\nSubject: hi\r\n\r\nhello\r\n"

func TestGatewaySignsBesideTheAuthor(t *testing.T) {
	w := gateway(t, "us.example", "gw.example")
	w.stamper.Tracer = own{}
	m := w.message(letter)
	text := w.outBehind(m, w.stamper.Block(m, filter.Verdict{}, filter.Report{}, []string{"a@b.example"}))
	if ours, others := w.verify(text); ours != 2 || others != 2 {
		t.Errorf("%d and %d signatures hold:\n%s", ours, others, text)
	}
	if n := strings.Count(text, "d=gw.example;"); n != 1 || strings.Count(text, "d=us.example;") != 1 {
		t.Errorf("signed by\n%s", text)
	}
	squeezed := strings.NewReplacer("\r\n\t ", "", "\r\n\t", "").Replace(text)
	if n := strings.Count(squeezed, ":X-Postern-Trace:X-Postern-Trace"); n != 2 {
		t.Errorf("the trace is signed %d times over", n)
	}
	for _, changed := range []string{
		strings.Replace(text, "v1.token", "v1.other", 1), strings.Replace(text, "From:", "X-Postern-Trace: v1.more\r\nFrom:", 1),
		strings.Replace(text, "From:", "CFBL-Address: x@y.example\r\nFrom:", 1), strings.Replace(text, "Subject: hi", "Subject: ho", 1),
	} {
		if ours, others := w.verify(changed); changed == text || ours != 0 || others != 0 {
			t.Errorf("%d and %d signatures hold over\n%s", ours, others, changed)
		}
	}
}

type own struct{}

func (own) Trace(*filter.Message, []string) stamp.Trace {
	return stamp.Trace{Token: "v1.token", Complaints: "abuse@us.example", FeedbackID: "v1:token"}
}
func (own) Genuine([]byte) bool { return true }

func TestGatewaySignsAlone(t *testing.T) {
	w := gateway(t, "gw.example")
	for name, raw := range map[string]string{
		"no key of the author": letter, "no author": strings.Replace(letter, "From:", "X-From:", 1), "two authors": strings.Replace(letter, "From: Joe <joe@us.example>", "From: a@us.example, b@them.example", 1),
	} {
		if _, domains := traced(t, w, raw); len(domains) != 1 || domains[0] != "gw.example" {
			t.Errorf("%s: signed by %v", name, domains)
		}
	}
	if _, domains := traced(t, w, strings.Replace(letter, "joe@us.example", "joe@gw.example", 1)); len(domains) != 1 {
		t.Errorf("mail of the gateway's own domain is signed by %v", domains)
	}
}

func TestGatewayWithoutAKey(t *testing.T) {
	w := gateway(t, "us.example")
	if _, domains := traced(t, w, letter); len(domains) != 1 || domains[0] != "us.example" {
		t.Errorf("signed by %v", domains)
	}
	w.signer.Gateway = func() string { return "" }
	if _, domains := traced(t, w, letter); len(domains) != 1 {
		t.Errorf("signed by %v", domains)
	}
}

type brokenKeys struct{ bad string }

func (b brokenKeys) Active(domain string) ([]keys.Private, error) {
	if domain == b.bad {
		return nil, errors.New("its file is gone")
	}
	return nil, nil
}

// A key that should sign and cannot keeps the message here.
func TestGatewayKeyBroken(t *testing.T) {
	w := gateway(t)
	w.signer.Keys = brokenKeys{bad: "gw.example"}
	m := w.message(letter)
	if _, _, err := w.stamper.Open(w.stamper.Block(m, filter.Verdict{}, filter.Report{}, nil), m); err == nil || len(w.alerts) != 1 {
		t.Errorf("%v, alerts %v", err, w.alerts)
	}
}
