package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"postern/cmd/postern/access"
	"postern/internal/mailtest"
)

// A program hands in reports with a token: once each, in its own name, and nothing else.
func TestComplaintsOverHTTP(t *testing.T) {
	t.Parallel()
	g, _ := startBefore(t, mailtest.Script{}, plan{More: "api: {addr: \"127.0.0.1:0\"}\n"})
	g.run(t, 0, "user", "add", "partner", "--role", "abuse-agent", "--email", "desk@friend.example")
	secret := runJSON[access.Made](t, g, 0, "token", "add", "partner", "--scope", "reports:send", "--json").Secret
	post := func(path, kind, key, body string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+g.Addrs["api"]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", kind)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	arf := "--b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: test/1\r\nVersion: 1\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@far.example\r\nSubject: x\r\n\r\nBuy.\r\n--b--\r\n"
	const kind = "multipart/report; report-type=feedback-report; boundary=b"
	ids := map[string]bool{}
	for _, key := range []string{"", "", "one", "one", "two"} {
		code, text := post("/api/v1/complaints", kind, key, arf)
		var got struct{ ID string }
		if err := json.Unmarshal([]byte(text), &got); code != http.StatusAccepted || err != nil || got.ID == "" {
			t.Fatalf("%d %s", code, text)
		}
		ids[got.ID] = true
	}
	all := complaints(t, g, 3)
	if len(ids) != 3 || len(all) != 3 {
		t.Errorf("%d IDs, %d reports", len(ids), len(all))
	}
	for _, r := range all {
		if !ids[r.Report.ID] || r.Report.By != "api" || r.Work.Format != "arf" || r.Work.Reporter != "desk@friend.example" || r.Work.Trust.String() != "T1" || !strings.HasPrefix(r.Report.Actor, "partner") {
			t.Errorf("%+v", r)
		}
	}
	for path, want := range map[string]int{"/api/v1/complaints": http.StatusUnsupportedMediaType, "/api/v1/calls/case.list": http.StatusForbidden} {
		if code, text := post(path, "text/plain", "", "x"); code != want || !strings.Contains(text, `"status":`) {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if out := g.run(t, 0, "complaint", "take", "--text", "they call and write all day", "--phone", "+44 20 7946 0000", "--reporter", "mrs@home.example"); !strings.Contains(out, "taken as r-") {
		t.Errorf("%s", out)
	}
	if r := complaints(t, g, 4)[0]; r.Report.By != "phone" || r.Work.Trust.String() != "T0" || !r.Work.Person {
		t.Errorf("%+v", r)
	}
}
