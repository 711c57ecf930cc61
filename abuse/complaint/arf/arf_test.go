package arf_test

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/netip"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/abuse/complaint"
	"postern/abuse/complaint/arf"
	"postern/abuse/complaint/letter"
	"postern/abuse/complaint/redact"
)

func TestRead(t *testing.T) {
	f := arf.Read([]byte("\r\nFeedback-Type: Abuse (spam)\r\nUser-Agent: X/1\r\nVersion: 1\r\nOriginal-Mail-From: <a@b.example>\r\nOriginal-Rcpt-To: <c@d.example>\r\n" +
		"Original-Rcpt-To: e@d.example\r\nArrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\nSource-IP: IPv6:2001:DB8::1 (host.example)\r\nSource-Port: 51514\r\n" +
		"Reporting-MTA: dns; mx.d.example\r\nReported-Domain: B.example.\r\nReported-URI: http://b.example/\r\n x\r\nIncidents: 12\r\nincidents: 13\r\n" +
		"Authentication-Results: mx; spf=fail\r\n\tsmtp.mailfrom=a\r\nAuth-Failure: BodyHash\r\nDKIM-Domain: b.example\r\nX-New: kept nowhere\r\n"))
	c := f.Claims
	if f.Type != "abuse" || c.MailFrom != "a@b.example" || fmt.Sprint(c.RcptTo) != "[c@d.example e@d.example]" || c.SourceIP != netip.MustParseAddr("2001:db8::1") || c.SourcePort != 51514 ||
		c.Arrival.Format(time.RFC3339) != "2005-03-08T18:00:00Z" || c.MTA != "mx.d.example" || fmt.Sprint(c.Domains) != "[b.example]" || fmt.Sprint(c.URIs) != "[http://b.example/ x]" ||
		c.Incidents != 12 || c.AuthFailure != "bodyhash" || c.AuthResults[0] != "mx; spf=fail smtp.mailfrom=a" || c.DKIMDomain != "b.example" || len(f.Problems) != 0 {
		t.Errorf("read as %+v", f)
	}
}

// What cannot be read is named, and the rest is read all the same.
func TestReadDamaged(t *testing.T) {
	for body, want := range map[string]string{
		"":                                " [the report names no Feedback-Type]",
		"User-Agent: x":                   " [the report names no Feedback-Type]",
		"Feedback-Type: x-never-heard-of": "x-never-heard-of []",
		"Feedback-Type: miscategorized\nVersion: 0.1":                                                        "miscategorized []",
		"Feedback-Type: abuse\nSource-IP: 999.1.1.1\nSource-Port: 0\nArrival-Date: yesterday\nIncidents: -1": "abuse [the field source-ip cannot be read the field source-port cannot be read the field arrival-date cannot be read the field incidents cannot be read]",
		"no field at all\nFeedback-Type: fraud\n":                                                            "fraud []",
		"Feedback-Type: abuse\n\nSource-IP: 1.2.3.4":                                                         "abuse []",
		"Feedback-Type: \x00virus\x1b[2J":                                                                    "virus []",
	} {
		f := arf.Read([]byte(body))
		if got := fmt.Sprintf("%s %v", f.Type, f.Problems); got != want {
			t.Errorf("%q is %q, want %q", body, got, want)
		}
	}
	many := arf.Read([]byte("Feedback-Type: abuse\n" + strings.Repeat("Reported-URI: http://x.example/"+strings.Repeat("a", 5000)+"\n", 20) + strings.Repeat("Original-Rcpt-To: x@y\n", 400)))
	if len(many.Claims.URIs) > 50 || len(many.Claims.RcptTo) > 1 || len(many.Claims.URIs[0]) > 1000 {
		t.Errorf("%d URIs, %d recipients", len(many.Claims.URIs), len(many.Claims.RcptTo))
	}
}

const message = "Received: from there.example ([203.0.113.7]) by mx.here.example; Mon, 4 May 2026 03:02:01 +0000\r\nDKIM-Signature: v=1; d=there.example; s=a; b=xyz\r\n" +
	"From: =?utf-8?B?0JDQvdC90LA=?= <anna@there.example>\r\nTo: Bob <bob@here.example>\r\nSubject: =?utf-8?B?5Z6D5Zy+?= offer\r\nMessage-ID: <1@there.example>\r\n\r\nBuy at http://there.example/ now\r\n--=_boundary\r\n"

func notice() arf.Notice {
	return arf.Notice{
		From: "abuse@here.example", To: "abuse@there.example", Date: time.Date(2026, 5, 4, 5, 0, 0, 0, time.UTC), MessageID: "<n1@here.example>",
		Words: "您好:\n\n我们收到了来自贵方的垃圾邮件。", Language: "zh", UserAgent: "Desk/1.0", MTA: "mx.here.example", MailFrom: "anna@there.example",
		RcptTo: []string{"bob@here.example", "βασίλης@here.example"}, EnvelopeID: "q-1", Arrival: time.Date(2026, 5, 4, 3, 2, 1, 0, time.FixedZone("", 8*3600)), SourceIP: netip.MustParseAddr("::ffff:203.0.113.7"),
		SourcePort: 51514, Domains: []string{"there.example"}, URIs: []string{"http://there.example/" + strings.Repeat("a", 930)}, AuthResult: "mx.here.example; spf=pass smtp.mailfrom=anna@there.example; dkim=pass header.d=there.example; dmarc=pass header.from=there.example",
		Incidents: 4, Original: []byte(message),
	}
}

// parts takes a notice apart with the standard library and checks the grammar on the way.
func parts(t *testing.T, raw []byte) (mail.Header, []textproto.MIMEHeader, [][]byte) {
	t.Helper()
	for l := range bytes.Lines(raw) {
		if !bytes.HasSuffix(l, []byte("\r\n")) || len(l) > 1000 || bytes.Contains(l[:len(l)-2], []byte("\r")) {
			t.Fatalf("a line of %d bytes: %.80q", len(l), l)
		}
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "feedback-report" || m.Header.Get("MIME-Version") != "1.0" {
		t.Fatalf("%q %v %v", kind, params, err)
	}
	var heads []textproto.MIMEHeader
	var bodies [][]byte
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err != nil {
			break
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(p); err != nil {
			t.Fatal(err)
		}
		heads, bodies = append(heads, p.Header), append(bodies, b.Bytes())
	}
	if len(bodies) != 3 || !strings.HasPrefix(heads[0].Get("Content-Type"), "text/plain") || heads[1].Get("Content-Type") != "message/feedback-report" || heads[1].Get("Content-Transfer-Encoding") != "7bit" {
		t.Fatalf("%d parts: %v", len(bodies), heads)
	}
	grammar(t, bodies[1])
	return m.Header, heads, bodies
}

// field is a field of RFC 5965 section 3 with its folding undone.
var field = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*): (\S[ -~]*)$`)

// grammar holds the second part against RFC 5965 sections 3.1 to 3.4 and RFC 6692: three
// fields exactly once, others at most once, some any number of times.
func grammar(t *testing.T, body []byte) {
	t.Helper()
	times := map[string]int{}
	text := regexp.MustCompile(`\r\n[ \t]+`).ReplaceAllString(strings.TrimSuffix(string(body), "\r\n"), " ")
	for l := range strings.SplitSeq(text, "\r\n") {
		m := field.FindStringSubmatch(l)
		if m == nil {
			t.Errorf("no field: %q", l)
			continue
		}
		times[strings.ToLower(m[1])]++
		if v := m[2]; strings.EqualFold(m[1], "Version") && v != "1" || strings.EqualFold(m[1], "Source-IP") && netip.MustParseAddr(v).String() != v {
			t.Errorf("the value of %q", l)
		}
	}
	for name, n := range times {
		switch name {
		case "feedback-type", "user-agent", "version":
		case "original-mail-from", "original-envelope-id", "arrival-date", "reporting-mta", "source-ip", "source-port", "incidents":
		case "original-rcpt-to", "reported-domain", "reported-uri", "authentication-results":
			continue
		default:
			t.Errorf("a field of no RFC: %s", name)
		}
		if n != 1 {
			t.Errorf("%s stands %d times", name, n)
		}
	}
	for _, name := range []string{"feedback-type", "user-agent", "version"} {
		if times[name] != 1 {
			t.Errorf("%s stands %d times", name, times[name])
		}
	}
}

func TestWrite(t *testing.T) {
	n := notice()
	raw, err := arf.Write(n)
	if err != nil {
		t.Fatal(err)
	}
	h, heads, bodies := parts(t, raw)
	subject, err := new(mime.WordDecoder).DecodeHeader(h.Get("Subject"))
	if err != nil || subject != "FW: 垃圾 offer" || h.Get("Auto-Submitted") != "auto-generated" || heads[2].Get("Content-Type") != "message/rfc822" {
		t.Errorf("subject %q, %v, third part %v", subject, err, heads[2])
	}
	if string(bodies[2]) != message {
		t.Errorf("the message is %q", bodies[2])
	}
	again, err := arf.Write(n)
	if err != nil || !bytes.Equal(raw, again) {
		t.Error("the same notice is written in two ways")
	}
	r := complaint.Parse(raw, complaint.Options{})
	c := r.Claims
	if r.Format != complaint.ARF || r.Feedback != "abuse" || string(r.Original) != message || !r.Whole || r.Language != "zh" || len(r.Problems) != 0 ||
		c.MailFrom != n.MailFrom || c.RcptTo[0] != n.RcptTo[0] || c.RcptTo[1] != n.RcptTo[1] || !c.Arrival.Equal(n.Arrival) || c.SourceIP != n.SourceIP.Unmap() || c.SourcePort != n.SourcePort ||
		c.Domains[0] != "there.example" || c.URIs[0] != n.URIs[0] || c.AuthResults[0] != n.AuthResult || c.Incidents != 4 || c.MTA != n.MTA || c.UserAgent != n.UserAgent || c.EnvelopeID != "q-1" {
		t.Errorf("read back as %+v", r)
	}
	for _, fact := range []string{"我们收到了来自贵方的垃圾邮件。", "Source-IP: 203.0.113.7", "Source-Port: 51514", "Arrival-Date: Sun, 03 May 2026 19:02:01 +0000", "anna@there.example", "Incidents: 4"} {
		if !strings.Contains(r.Text, fact) {
			t.Errorf("the first part does not say %q: %s", fact, r.Text)
		}
	}
}

// What cannot stand in mail goes as its header, and recipients go redacted where asked.
func TestWriteForms(t *testing.T) {
	hide := redact.HMAC([]byte("key"))
	for name, c := range map[string]struct {
		change     func(*arf.Notice)
		kind, want string
		whole      bool
	}{
		"8 bit":   {func(n *arf.Notice) { n.Original = []byte("From: a@b.example\r\n\r\n\xc4\xe3\xba\xc3\r\n") }, "message/rfc822", "From: a@b.example\r\n\r\n\xc4\xe3\xba\xc3\r\n", true},
		"headers": {func(n *arf.Notice) { n.HeadersOnly = true }, "text/rfc822-headers", message[:strings.Index(message, "\r\n\r\n")+2], false},
		"long lines": {func(n *arf.Notice) {
			n.Original = []byte("From: a@b.example\r\n\r\n" + strings.Repeat("a", 2000) + "\r\n")
		}, "text/rfc822-headers", "From: a@b.example\r\n", false},
		"NUL":     {func(n *arf.Notice) { n.Original = []byte("From: a@b.example\r\n\r\na\x00b\r\n") }, "text/rfc822-headers", "From: a@b.example\r\n", false},
		"bare LF": {func(n *arf.Notice) { n.Original = []byte("From: a@b.example\nTo: c\n\nhi\n") }, "text/rfc822-headers", "From: a@b.example\r\nTo: c\r\n", false},
		"long field": {func(n *arf.Notice) {
			n.Original = []byte("From: a@b.example\r\nX: " + strings.Repeat("b", 1000) + "\r\n\r\nx\r\n")
			n.HeadersOnly = true
		}, "text/rfc822-headers", "From: a@b.example\r\nX: " + strings.Repeat("b", 897) + "\r\n\t" + strings.Repeat("b", 103) + "\r\n", false},
		"masked":        {func(n *arf.Notice) { n.Redact, n.Mask = &hide, true }, "message/rfc822", strings.ReplaceAll(message, "bob@here.example", hide.Address("bob@here.example")), true},
		"null sender":   {func(n *arf.Notice) { n.MailFrom = "" }, "message/rfc822", message, true},
		"no last CRLF":  {func(n *arf.Notice) { n.Original = []byte("From: a@b.example\r\n\r\nhi") }, "message/rfc822", "From: a@b.example\r\n\r\nhi", true},
		"only a header": {func(n *arf.Notice) { n.Original = []byte("From: a@b.example\r\nTo: c@d.example\r\n") }, "text/rfc822-headers", "From: a@b.example\r\nTo: c@d.example\r\n", false},
	} {
		n := notice()
		c.change(&n)
		raw, err := arf.Write(n)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		_, heads, bodies := parts(t, raw)
		if string(bodies[2]) != c.want || heads[2].Get("Content-Type") != c.kind {
			t.Errorf("%s: %v %q", name, heads[2], bodies[2])
		}
		if r := complaint.Parse(raw, complaint.Options{}); r.Whole != c.whole || r.Format != complaint.ARF {
			t.Errorf("%s: read back as %+v", name, r)
		}
	}
	n := notice()
	n.Redact = &hide
	raw, err := arf.Write(n)
	if err != nil || bytes.Contains(raw[:bytes.Index(raw, []byte("message/rfc822"))], []byte("bob@")) {
		t.Errorf("%v: a recipient is named: %s", err, raw)
	}
	if r := complaint.Parse(raw, complaint.Options{}); !r.Redacted || r.Claims.RcptTo[0] != hide.Address("bob@here.example") {
		t.Errorf("read back as %+v", r)
	}
}

func TestWriteRefuses(t *testing.T) {
	for want, change := range map[error]func(*arf.Notice){
		arf.ErrSource:     func(n *arf.Notice) { n.SourceIP = netip.Addr{} },
		arf.ErrOriginal:   func(n *arf.Notice) { n.Original = nil },
		letter.ErrAddress: func(n *arf.Notice) { n.To = "a@b.example>\r\nBcc: <c@d.example" },
	} {
		n := notice()
		change(&n)
		if _, err := arf.Write(n); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	n := notice() // what strangers chose cannot become a field
	n.MailFrom, n.Domains, n.AuthResult, n.EnvelopeID = "a@b\r\nX-Evil: 1", []string{"x\r\nX-Evil: 2"}, "y\nX-Evil: 3", "z\rX-Evil: 4"
	n.Original = []byte("Subject: =?utf-8?Q?a=0D=0AX-Evil:_5?=\r\nFrom: a@b.example\r\n\r\nx\r\n")
	raw, err := arf.Write(n)
	if err != nil || bytes.Contains(raw, []byte("\nX-Evil")) {
		t.Errorf("%v: %s", err, raw)
	}
}

// Whatever the bytes are: reading ends and writing gives what the grammar allows.
func FuzzRead(f *testing.F) {
	f.Add([]byte("Feedback-Type: abuse\r\nUser-Agent: a\r\nVersion: 1\r\nSource-IP: 192.0.2.1\r\nArrival-Date: Thu, 8 Mar 2005 14:00:00 EDT\r\n"))
	f.Add([]byte("feedback-type:virus\nSource-Port: 1\nReported-URI: \xff\x00\n x\n\nFeedback-Type: x"))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		r := arf.Read(body)
		if !bytes.Equal(before, body) {
			t.Fatal("reading changed the bytes")
		}
		if strings.ContainsAny(r.Type, "\r\n\x00\x1b") || len(r.Claims.URIs) > 50 || len(r.Problems) > 600 {
			t.Fatalf("%+v", r)
		}
		n := notice()
		n.Original, n.MailFrom, n.UserAgent, n.Domains, n.Feedback, n.Words = body, r.Claims.MailFrom, r.Claims.UserAgent+"x", r.Claims.Domains, r.Type, string(body)
		if raw, err := arf.Write(n); err == nil {
			parts(t, raw)
		}
	})
}
