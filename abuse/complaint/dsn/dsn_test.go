package dsn_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"postern/abuse/complaint/dsn"
)

const returned = "Received: from a by b; c\r\nFrom: anna@here.example\r\nTo: bob@there.example\r\nSubject: x\r\nMessage-ID: <1@here.example>\r\n\r\nhi\r\n"

func standard(status string) string {
	return "From: MAILER-DAEMON@there.example\r\nTo: anna@here.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n\r\nsorry\r\n" +
		"--x\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n" + returned + "\r\n--x--\r\n"
}

func TestStandard(t *testing.T) {
	for name, c := range map[string]struct{ status, want string }{
		"two": {"Reporting-MTA: dns; mx.there.example\r\n\r\nOriginal-Recipient: rfc822;bob@there.example\r\nFinal-Recipient: RFC822; <bob2@there.example>\r\nAction: failed (no such user)\r\nStatus: 5.1.1 (bad)\r\nRemote-MTA: dns; [192.0.2.1] (x)\r\n" +
			"Diagnostic-Code: smtp; 550 5.1.1\r\n no such user\r\n\r\nFinal-Recipient: rfc822; carol@there.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
			"[{bob2@there.example bob@there.example failed 5.1.1 192.0.2.1 550 5.1.1 no such user} {carol@there.example  delayed 4.4.1  }]"},
		"one group":   {"Reporting-MTA: dns; mx\r\nFinal-Recipient: rfc822; bob@there.example\r\nAction: Failed\r\nStatus: 5.2.2\r\n", "[{bob@there.example  failed 5.2.2  }]"},
		"no first":    {"Final-Recipient: rfc822; bob@there.example\r\nAction: expired\r\nDiagnostic-Code: x-mta; 452 (#4.2.2) full\r\n", "[{bob@there.example  failed 4.2.2  452 (#4.2.2) full}]"},
		"UTF-8":       {"Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: utf-8; \\x{3b2}ob@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", "[{βob@there.example  failed 5.1.1  }]"},
		"odd escape":  {"Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: utf-8; \\x{zz}ob\\x{@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", "[{\\x{zz}ob\\x{@there.example  failed 5.1.1  }]"},
		"twice":       {"A: b\r\n\r\nFinal-Recipient: rfc822; bob@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\nFinal-Recipient: rfc822; BOB@there.example\r\nAction: failed\r\nStatus: 5.2.1\r\n", "[{bob@there.example  failed 5.1.1  }]"},
		"delivered":   {"A: b\r\n\r\nFinal-Recipient: rfc822; bob@there.example\r\nAction: delivered\r\nStatus: 2.0.0\r\n", "[{bob@there.example  delivered 2.0.0  }]"},
		"no status":   {"A: b\r\n\r\nFinal-Recipient: rfc822; bob@there.example\r\nAction: sideways\r\nStatus: 9.9.9\r\nDiagnostic-Code: smtp; host 192.0.2.5.1 said no\r\n", "[{bob@there.example     host 192.0.2.5.1 said no}]"},
		"an original": {"A: b\r\n\r\nOriginal-Recipient: rfc822; bob@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n", "[{bob@there.example bob@there.example failed 5.1.1  }]"},
	} {
		r, ok := dsn.Parse([]byte(standard(c.status)))
		if got := fmt.Sprint(r.Recipients); !ok || got != c.want || !r.Standard || string(r.Original) != returned || !r.Whole {
			t.Errorf("%s: %v %s, want %s\n%q", name, ok, got, c.want, r.Original)
		}
	}
	if r, ok := dsn.Parse([]byte(standard("Reporting-MTA: dns; mx.there.example\r\n"))); !ok || len(r.Recipients) != 0 || r.MTA != "mx.there.example" {
		t.Errorf("without recipients: %v %+v", ok, r)
	}
}

func TestWords(t *testing.T) {
	const from = "From: Mail Delivery System <MAILER-DAEMON@there.example>\r\nTo: anna@here.example\r\nSubject: Mail delivery failed\r\n"
	for name, c := range map[string]struct{ mail, want string }{
		"two":            {from + "\r\n<bob@there.example>:\r\nUser unknown\r\n<carol@there.example>: 552 5.2.2 full\r\n", "[{bob@there.example  failed   } {carol@there.example  failed 5.2.2  <carol@there.example>: 552 5.2.2 full}]"},
		"a reply code":   {from + "\r\n  bob@there.example\r\n    host mx [192.0.2.1] said: 550 no\r\n", "[{bob@there.example  failed 5.0.0  host mx [192.0.2.1] said: 550 no}]"},
		"known":          {"X-Failed-Recipients: bob@there.example, carol@there.example\r\n" + from + "\r\nanna@here.example wrote to\r\n bob@there.example: 550 5.1.1 no\r\n", "[{bob@there.example  failed 5.1.1  bob@there.example: 550 5.1.1 no} {carol@there.example  failed   }]"},
		"late":           {strings.Replace(from, "failed", "delayed", 1) + "\r\nNot delivered yet to bob@there.example: 451 4.7.1 later\r\n", "[{bob@there.example  delayed 4.7.1  Not delivered yet to bob@there.example: 451 4.7.1 later}]"},
		"its own fields": {from + "\r\n> Final-Recipient: rfc822; bob@there.example\r\n> Action: failed\r\n> Status: 5.1.1\r\n", "[{bob@there.example  failed 5.1.1  }]"},
		"not its sender": {from + "\r\nMessage from <anna@here.example> could not be delivered: <postmaster@there.example> says 5.1.1\r\n", "[]"},
		"a person":       {"From: Bob <bob@there.example>\r\nSubject: delivery failed\r\n\r\ncarol@there.example: 550 5.1.1\r\n", "[]"},
		"a postmaster":   {"From: postmaster@there.example\r\nSubject: abuse\r\n\r\nanna@here.example sent spam, we rejected it with 550 5.7.1\r\n", "[]"},
		"away":           {"From: bob@there.example\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nBack on Monday.\r\n", "[]"},
	} {
		r, ok := dsn.Parse([]byte(c.mail))
		if got := fmt.Sprint(r.Recipients); got != c.want || ok != (c.want != "[]") || r.Standard {
			t.Errorf("%s: %v %s, want %s", name, ok, got, c.want)
		}
	}
	r, ok := dsn.Parse([]byte(from + "\r\n<bob@there.example>: 550 5.1.1 no\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n" + returned))
	if !ok || len(r.Recipients) != 1 || string(r.Original) != returned || !r.Whole {
		t.Errorf("a message in the text: %v %+v %q", ok, r, r.Original)
	}
}

func TestBounds(t *testing.T) {
	for name, status := range map[string]string{
		"groups": strings.Repeat("Final-Recipient: rfc822; a%d@b\r\n\r\n", 100_000),
		"fields": strings.Repeat("Final-Recipient: rfc822; a@b\r\n", 100_000),
		"values": "Final-Recipient: rfc822; " + strings.Repeat("a", 1<<20) + "@b\r\n",
	} {
		r, ok := dsn.Parse([]byte(standard(strings.ReplaceAll(status, "%d", fmt.Sprint(len(name))))))
		if !ok || len(r.Recipients) > 200 || len(r.Recipients) > 0 && len(r.Recipients[0].Final) > 1000 {
			t.Errorf("%s: %v, %d recipients", name, ok, len(r.Recipients))
		}
	}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "Final-Recipient: rfc822; a%d@b.example\r\nAction: failed\r\n\r\n", i)
	}
	if r, ok := dsn.Parse([]byte(standard(many.String()))); !ok || len(r.Recipients) != 200 {
		t.Errorf("%v, %d recipients of 1,000", ok, len(r.Recipients))
	}
}

// Whatever the bytes are, reading ends and strings are fit to be kept.
func FuzzParse(f *testing.F) {
	f.Add([]byte(standard("Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822; a@b\r\nAction: failed\r\nStatus: 5.1.1\r\n")))
	f.Add([]byte("X-Failed-Recipients: a@b\r\nFrom: MAILER-DAEMON\r\n\r\n<a@b>: 550 5.1.1\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n" + returned))
	f.Add([]byte("From: <>\r\nReturn-Path: <>\r\nSubject: failure\r\n\r\nFinal-Recipient: utf-8; \\x{3b2}@\xff\r\nDiagnostic-Code: \x00;\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		r, ok := dsn.Parse(raw)
		if !bytes.Equal(before, raw) {
			t.Fatal("reading changed the bytes")
		}
		if !ok && (len(r.Recipients) > 0 || r.Original != nil) || len(r.Recipients) > 200 {
			t.Fatalf("%v %+v", ok, r)
		}
		for _, one := range r.Recipients {
			if strings.ContainsAny(one.Final+one.Original+one.Remote+one.Diagnostic+one.Status+one.Action, "\r\n\x00\x1b") || one.Final == "" {
				t.Fatalf("%+v", one)
			}
		}
	})
}
