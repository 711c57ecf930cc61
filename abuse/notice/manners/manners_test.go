package manners_test

import (
	"net/mail"
	"testing"

	"postern/abuse/notice/manners"
)

func TestRobot(t *testing.T) {
	for address, want := range map[string]bool{
		"anna@x.example": false, "mailer-daemon@x.example": true, "noreply+7@x.example": true, "list-request@x.example": true,
		"owner-list@x.example": true, "bounce-1@x.example": true, "requester@x.example": false, "": false,
	} {
		if got := manners.Robot(address); got != want {
			t.Errorf("%q: %t", address, got)
		}
	}
}

func TestAutomatic(t *testing.T) {
	for want, h := range map[string]mail.Header{
		"": {"Subject": {"hello"}, "Auto-Submitted": {"no"}, "X-Auto-Response-Suppress": {"None"}},
		"a program wrote it (Auto-Submitted: auto-replied)": {"Auto-Submitted": {"Auto-Replied (vacation); x=y"}},
		"it is bulk mail (Precedence)":                      {"Precedence": {"bulk"}},
		"it is a report of a program":                       {"Content-Type": {"multipart/report; report-type=x"}},
		"it asks for no automatic answer":                   {"X-Auto-Response-Suppress": {"All"}},
		"it came over a mailing list":                       {"List-Id": {"<l.example>"}},
	} {
		if got := manners.Automatic(h).English; got != want {
			t.Errorf("%v: %q, want %q", h, got, want)
		}
	}
}
