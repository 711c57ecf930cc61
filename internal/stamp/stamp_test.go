package stamp_test

import (
	"bytes"
	"errors"
	"io"
	"net/mail"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/internal/stamp"
)

const id = "01hf7yat00zzzzzzzzzzzzzzzz"

func stamper() *stamp.Stamper {
	return &stamp.Stamper{
		Names: stamp.DefaultNames("mx1.example.com"),
		Key:   []byte("0123456789abcdef"),
		AV:    func() string { return "ClamAV 1.4.6/27000/2026-11-22" },
	}
}

func message(body string) *filter.Message {
	return &filter.Message{
		ID: id, Time: time.Date(2026, 11, 22, 3, 4, 5, 0, time.UTC), Listener: "mx",
		Client: filter.Client{
			IP: netip.MustParseAddr("192.0.2.7"), Port: 4711, Name: "out.sender.example", Helo: "sender.example",
			TLS: filter.TLSInfo{Version: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256"},
		},
		From: "a@sender.example", To: []filter.Recipient{{Address: "b@example.com", Policy: "default", Backend: "mail"}},
		Body: strings.NewReader(body), Size: int64(len(body)),
	}
}

func TestBlockToTheLetter(t *testing.T) {
	v := filter.Verdict{
		Action: filter.Tag, Policy: "default", Rules: "r-17", Score: 450,
		Reasons: []filter.Reason{
			{Symbol: "SPF_FAIL", Score: 150, Describe: "The sending host is not allowed by the domain's SPF record", Detail: "secret\r\nX: y"},
			{Symbol: "LIST", Score: -25, Describe: "Known list; good"},
			{Symbol: "UML", Score: 325, Describe: "gefälscht"},
		},
		Failures: []filter.Failure{{Step: "clamav", Reason: "timed out"}, {Step: "dns", Reason: "(away)"}},
	}
	spf := &filter.AuthResult{Method: "spf", Result: "fail", Props: []filter.AuthProp{{Type: "smtp", Name: "mailfrom", Value: "a@sender.example"}}}
	r := filter.Report{Findings: []filter.Finding{
		{Symbol: "SPF_FAIL", Auth: spf}, {Symbol: "OTHER"}, {Symbol: "SPF_AGAIN", Auth: spf},
		{Symbol: "DKIM_PASS", Auth: &filter.AuthResult{Method: "dkim", Result: "pass", Reason: "2048-bit key", Props: []filter.AuthProp{
			{Type: "header", Name: "d", Value: "sender.example"}, {Type: "header", Name: "b", Value: "AbC+/d=="}}}},
	}}
	s := stamper()
	s.Key = nil
	want := strings.ReplaceAll(`Received: from sender.example (out.sender.example [192.0.2.7])
	(using TLSv1.3 with cipher TLS_AES_128_GCM_SHA256)
	by mx1.example.com (Postern) with ESMTPS id
	01hf7yat00zzzzzzzzzzzzzzzz;
	Sun, 22 Nov 2026 03:04:05 +0000
Authentication-Results: mx1.example.com;
	spf=fail smtp.mailfrom=a@sender.example;
	dkim=pass reason="2048-bit key" header.d=sender.example
	header.b="AbC+/d=="
X-Postern-Verdict: tag; score=4.50; policy=default;
	id=01hf7yat00zzzzzzzzzzzzzzzz; rules=r-17;
	av="ClamAV 1.4.6/27000/2026-11-22"
X-Postern-Reasons: SPF_FAIL +1.50 The sending host is not allowed by the
	domain's SPF record; LIST -0.25 Known list, good; UML +3.25
	=?utf-8?q?gef=C3=A4lscht?=
X-Postern-Unchecked: clamav (timed out), dns ([away])
X-Spam-Flag: YES
X-Spam-Score: 4.50
`, "\n", "\r\n")
	if d := cmp.Diff(want, string(s.Block(message(""), v, r, []string{"b@example.com"}))); d != "" {
		t.Error(d)
	}
}

func TestBlockOfACleanMessage(t *testing.T) {
	s := stamper()
	s.AV = nil
	h := parse(t, string(s.Block(message(""), filter.Verdict{Policy: "default", Rules: "r1"}, filter.Report{}, nil))+"\r\n")
	for name, want := range map[string]string{
		"X-Postern-Verdict":      `accept; score=0.00; policy=default; id=` + id + `; rules=r1; av="none"`,
		"X-Postern-Reasons":      "none",
		"X-Postern-Unchecked":    "none",
		"X-Spam-Flag":            "NO",
		"X-Spam-Score":           "0.00",
		"Authentication-Results": "mx1.example.com; none",
	} {
		if got := strings.Join(strings.Fields(h.Get(name)), " "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestOutboundCarriesNoneOfOurFields(t *testing.T) {
	in := "X-Postern-Verdict: accept\r\nX-Spam-Flag: NO\r\nAuthentication-Results: mx1.example.com; auth=pass\r\nSubject: s\r\n\r\nx\r\n"
	m := message(in)
	m.Direction, m.Account = filter.Outbound, "joe"
	s := stamper()
	out := read(t, s, s.Block(m, filter.Verdict{Action: filter.Tag}, filter.Report{}, []string{"x@y.example"}), m)
	h := parse(t, out)
	if strings.Contains(out, "X-Postern") || strings.Contains(out, "X-Spam") {
		t.Errorf("left in:\n%s", out)
	}
	if got := h["Authentication-Results"]; len(got) != 1 || got[0] != "mx1.example.com; auth=pass" {
		t.Errorf("the local server's own result is not ours to touch outbound: %q", got)
	}
	if !strings.Contains(h.Get("Received"), "with ESMTPSA id") {
		t.Errorf("Received: %q", h.Get("Received"))
	}
}

// Attacker text in any of the fields that reach our block stays on its line and in its place.
func TestHostileTextStaysInside(t *testing.T) {
	for _, evil := range []string{
		"x\r\nX-Inj: 1", "x\nX-Inj: 1", "x\rX-Inj: 1", "x\r\n\r\nbody", "a\x00b\x1b[31m", "a (b", "a) by evil", `a" ; b=c \`,
		"é\u2028\u0085\xff\xfe", strings.Repeat("w", 5000), strings.Repeat("a b; ", 2000), "; dkim=pass header.d=bank.example", "",
	} {
		m := message("Subject: s\r\n\r\n")
		m.Client.Helo, m.Client.Name, m.Client.TLS.Cipher = evil, evil, evil
		v := filter.Verdict{Policy: evil, Rules: evil, Reasons: []filter.Reason{{Symbol: evil, Describe: evil, Detail: evil}, {Symbol: "B"}},
			Failures: []filter.Failure{{Step: evil, Reason: evil}, {Step: "c", Reason: "d"}}}
		r := filter.Report{Findings: []filter.Finding{
			{Auth: &filter.AuthResult{Method: "spf", Result: "pass", Reason: evil, Props: []filter.AuthProp{{Type: "smtp", Name: "helo", Value: evil}, {Type: "smtp", Name: evil, Value: "x"}}}},
			{Auth: &filter.AuthResult{Method: evil, Result: "pass"}}, {Auth: &filter.AuthResult{Method: "dkim", Result: evil}},
		}}
		for _, wide := range []bool{false, true} {
			m.SMTPUTF8 = wide
			s := stamper()
			s.AV = func() string { return evil }
			block := string(s.Block(m, v, r, []string{evil}))
			checkLines(t, block, wide)
			h := parse(t, block+"\r\n")
			if len(h) != 7 || h.Get("X-Inj") != "" {
				t.Errorf("%q: fields %v", evil, h)
			}
			if got := h.Get("Authentication-Results"); strings.Count(unquoted(got), "=") > 3 || strings.Count(unquoted(got), ";") != 1 {
				t.Errorf("%q became structure: %s", evil, got)
			}
			if got := unquoted(h.Get("X-Postern-Verdict")); strings.Count(got, ";") != 5 {
				t.Errorf("%q became structure: %s", evil, got)
			}
		}
	}
}

// unquoted is s with its quoted strings taken away.
func unquoted(s string) string {
	var b strings.Builder
	in := false
	for i := 0; i < len(s); i++ {
		switch {
		case in && s[i] == '\\':
			i++
		case s[i] == '"':
			in = !in
		case !in:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func checkLines(t *testing.T, block string, wide bool) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(block, "\r\n"), "\r\n")
	for _, l := range lines {
		if len(l) > 998 || strings.TrimSpace(l) == "" {
			t.Errorf("line of %d octets: %q", len(l), l)
		}
		for i := range len(l) {
			if c := l[i]; c < ' ' && (c != '\t' || i > 0) || c == 0x7f || c > 0x7f && !wide {
				t.Errorf("byte %#x in %q", c, l)
			}
		}
	}
}

func parse(t *testing.T, text string) mail.Header {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return m.Header
}

func read(t *testing.T, s *stamp.Stamper, block []byte, m *filter.Message) string {
	t.Helper()
	r, size, err := s.Open(block, m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(iotest.OneByteReader(r))
	if err != nil || int64(len(out)) != size {
		t.Fatalf("%d bytes of %d: %v", len(out), size, err)
	}
	return string(out)
}

func TestReceivedForms(t *testing.T) {
	for want, change := range map[string]func(m *filter.Message){
		"from unknown ([IPv6:2001:db8::1])": func(m *filter.Message) { m.Client = filter.Client{IP: netip.MustParseAddr("2001:db8::1%eth0")} },
		"from unknown ([192.0.2.1])":        func(m *filter.Message) { m.Client = filter.Client{IP: netip.MustParseAddr("::ffff:192.0.2.1")} },
		"from unknown ([unknown])":          func(m *filter.Message) { m.Client = filter.Client{} },
		"with UTF8SMTPS id":                 func(m *filter.Message) { m.SMTPUTF8 = true },
		"with ESMTPA id":                    func(m *filter.Message) { m.Account = "joe"; m.Client.TLS = filter.TLSInfo{} },
		"from [192.0.2.9] (out.sender.exam": func(m *filter.Message) { m.Client.Helo = "[192.0.2.9]" },
		"from a?b??c (":                     func(m *filter.Message) { m.Client.Helo = "a(b)\nc" },
	} {
		m := message("")
		change(m)
		got := strings.Join(strings.Fields(string(stamper().Block(m, filter.Verdict{}, filter.Report{}, nil))), " ")
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestReaderFailsOnAShortBody(t *testing.T) {
	m := message("Subject: s\r\n\r\nbody\r\n")
	m.Size += 5
	r, _, err := stamper().Open(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a body that lost its end was read as whole: %v", err)
	}
	m.Body = broken{}
	if _, _, err := stamper().Open(nil, m); err == nil {
		t.Error("an unreadable body has a header")
	}
}

type broken struct{}

func (broken) ReadAt([]byte, int64) (int, error) { return 0, errors.New("disk") }

func TestPasses(t *testing.T) {
	s := stamper()
	body := "Subject: loop\r\n\r\nx\r\n"
	to := []filter.Recipient{{Address: "b@example.com"}, {Address: "Other@example.com"}}
	pass := func(n int, listener, address string) {
		m := message(body)
		m.ID = id[:25] + string(rune('0'+n))
		m.Listener, m.To = listener, to
		body = read(t, s, s.Block(m, filter.Verdict{}, filter.Report{}, []string{"x@example.com", address}), m)
	}
	count := func(listener string) []int {
		m := message(body)
		m.To, m.Listener = to, listener
		return s.Passes(m)
	}
	expect := func(want ...int) {
		t.Helper()
		if d := cmp.Diff(want, count("mx")); d != "" {
			t.Error(d)
		}
	}
	expect(0, 0)
	pass(1, "mx", "b@example.com")
	expect(1, 0)
	pass(2, "mx", "B@Example.com")
	pass(3, "servers", "b@example.com")
	expect(2, 0)
	pass(4, "mx", "other@example.com")
	expect(2, 1)
	if d := cmp.Diff([]int{1, 0}, count("servers")); d != "" {
		t.Error(d)
	}
	body = strings.Repeat(body[:strings.Index(body, "Subject")], 3) + "Subject: s\r\n\r\n"
	expect(2, 1) // the same pass told three times is one pass
	s.Key = []byte("another key")
	expect(0, 0)
	s.Key = nil
	expect(0, 0)
}

func TestManyRecipientsFold(t *testing.T) {
	var to []string
	var rcpt []filter.Recipient
	for i := range 200 {
		a := strings.Repeat("x", i%9+1) + string(rune('a'+i%26)) + "@example.com"
		to, rcpt = append(to, a), append(rcpt, filter.Recipient{Address: a})
	}
	s, m := stamper(), message("\r\n")
	block := s.Block(m, filter.Verdict{}, filter.Report{}, to)
	checkLines(t, string(block), false)
	m = message(string(block) + "\r\n")
	m.To = rcpt
	for i, n := range s.Passes(m) {
		if n != 1 {
			t.Errorf("recipient %d: %d passes", i, n)
		}
	}
	if bytes.Contains(block, []byte("@example.com")) {
		t.Error("a recipient's address stands in the block")
	}
}
