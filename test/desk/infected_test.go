package desk

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"postern/internal/people"
	"postern/quarantine"
)

const infectedMail = "From: a@x.example\r\nTo: ada@example.com\r\nSubject: Your bill\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nPlease open the bill.\r\n" +
	"--b\r\nContent-Type: application/octet-stream; name=bill.exe\r\n\r\nevil-word\r\n--b--\r\n"

// TestInfectedMail has an agent read an infected message without its files, and a lead take it,
// with a reason that the audit has.
func TestInfectedMail(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil, people.User{Name: "amy", Role: people.Agent}, people.User{Name: "lea", Role: people.Lead})
	h := in.hold(1, infectedMail, func(h *quarantine.Hold) {
		h.Subject, h.Reasons = "Your bill", []quarantine.Reason{{Symbol: "VIRUS", Describe: "A virus", Decides: true}}
	})
	amy := in.browse("en")
	amy.signIn("amy")
	for _, tab := range []string{"text", "parts"} {
		amy.goTo("/held/"+h.ID+"?tab="+tab, "main h1")
		amy.says("taken only by a lead or a postmaster, with a written reason")
		if n := amy.ask(`String(document.querySelectorAll('#take, [form=take], main a[download]').length)`); n != "0" {
			t.Errorf("%s: the agent has %s ways to take it", tab, n)
		}
	}
	amy.says("bill.exe")
	amy.goTo("/held/"+h.ID, "main .letter")
	amy.says("Please open the bill.")
	for path, form := range map[string]string{"/raw": "", "/part/1.2": "", "/take": "note=please&part="} {
		if got := amy.fetch("/held/"+h.ID+path, form); strings.Contains(got, "evil-word") || !strings.HasPrefix(got, "403") {
			t.Errorf("%s: the agent gets %q", path, got)
		}
	}
	lea := in.browse("en")
	lea.signIn("lea")
	lea.goTo("/held/"+h.ID+"?tab=parts", "#take")
	lea.picture("infected-lead")
	if valid := lea.ask(`String(document.querySelector("#take").checkValidity())`); valid != "false" {
		t.Error("the lead is not asked for a reason")
	}
	for form, want := range map[string]string{"note=&part=": "400", "note=for+the+maker&part=": "200", "note=for+the+maker&part=1.2": "200"} {
		if got := lea.fetch("/held/"+h.ID+"/take", form); !strings.HasPrefix(got, want) || want == "200" && !strings.Contains(got, "evil-word") {
			t.Errorf("%s: the lead gets %q", form, got)
		}
	}
	in.mu.Lock()
	lines := slices.Clone(in.audit)
	in.mu.Unlock()
	if n := len(slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return s != "lea hold-raw "+h.ID })); n != 2 {
		t.Errorf("%d lines of two: %q", n, lines)
	}
	if code, body := in.reader("amy").get("/held?q=symbol:VIRUS"); code != http.StatusOK || !strings.Contains(body, h.ID) {
		t.Errorf("the list: %d", code)
	}
}
