package desk

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/people"
	"postern/quarantine"
)

// TestHK07 has readers who see a part of the held mail ask for what is not theirs, under the ID
// as it is, in another case and in other writings: there is nothing of the kind.
func TestHK07(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil,
		people.User{Name: "ada", Role: people.Recipient, Addresses: []string{"ada@example.com"}},
		people.User{Name: "dora", Role: people.DomainAdmin, Domains: []string{"example.org"}},
		people.User{Name: "eve", Role: people.Auditor},
	)
	secret := "Subject: secret-word\r\n\r\nsecret-word\r\n"
	mine := in.hold(1, "Subject: x\r\n\r\nmine-word\r\n", func(h *quarantine.Hold) { h.Subject = "mine" })
	theirs := in.hold(2, secret, func(h *quarantine.Hold) { h.To, h.Subject = []string{"bob@example.com"}, "secret-word" })
	evidence := in.hold(3, secret+"e", func(h *quarantine.Hold) { h.Class, h.Subject = quarantine.Evidence, "secret-word" })
	sent := in.hold(4, secret+"s", func(h *quarantine.Hold) { h.Direction, h.Subject = "outbound", "secret-word" })
	sick := in.hold(5, secret+"v", func(h *quarantine.Hold) {
		h.Subject, h.Reasons = "ill", []quarantine.Reason{{Symbol: "VIRUS", Describe: "A virus"}}
	})
	ada, dora, eve := in.reader("ada"), in.reader("dora"), in.reader("eve")
	if code, body := ada.get("/held/" + mine.ID); code != 200 || !strings.Contains(body, "mine-word") {
		t.Fatal("her own mail is not shown", code)
	}
	for _, h := range []quarantine.Hold{theirs, evidence, sent} {
		for _, id := range []string{h.ID, strings.ToUpper(h.ID), url.PathEscape(" " + h.ID), h.ID + "%00", h.MessageID, h.ID + "%20"} {
			for _, rest := range []string{"", "/raw", "/html", "/part/1", "/link/0", "?tab=headers"} {
				for _, r := range []*reader{ada, dora} {
					if code, body := r.get("/held/" + id + rest); code != http.StatusNotFound && code != http.StatusBadRequest || strings.Contains(body, "secret-word") {
						t.Errorf("%s%s: %d", id, rest, code)
					}
				}
			}
		}
		for _, act := range []string{"release", "delete", "copy", "block", "case"} {
			for _, r := range []*reader{ada, dora} {
				if code, body := r.post("/held/act", url.Values{"act": {act}, "id": {h.ID}, "seen": {"yes"}, "what": {"address"}}); code != http.StatusNotFound && code != http.StatusForbidden || strings.Contains(body, "secret-word") {
					t.Errorf("%s of another's: %d %s", act, code, body)
				}
			}
		}
		if now, err := in.store.Get(t.Context(), h.ID); err != nil || now.State != quarantine.Held || now.Release != nil {
			t.Errorf("it was changed: %+v, %v", now, err)
		}
	}
	for _, q := range []string{"", "to:bob@example.com", "secret-word", "to:@example.com"} {
		if code, body := ada.get("/held?q=" + url.QueryEscape(q)); strings.Contains(body, ">secret-word<") || strings.Contains(body, `aria-label="secret-word"`) {
			t.Errorf("the list for %q shows another's mail: %d", q, code)
		}
	}
	for _, rest := range []string{"", "/raw", "/html", "/part/1"} {
		if _, body := ada.get("/held/" + sick.ID + rest); strings.Contains(body, "secret-word") {
			t.Errorf("%s: what a virus was found in is handed to its recipient", rest)
		}
	}
	for _, act := range []string{"release", "delete", "copy", "block", "allow", "case", "release-allow"} {
		if code, _ := eve.post("/held/act", url.Values{"act": {act}, "id": {mine.ID}, "seen": {"yes"}, "what": {"address"}}); code != http.StatusForbidden {
			t.Errorf("an auditor may %s: %d", act, code)
		}
	}
}

// TestHK08 has IDs and searches that try to be something else.
func TestHK08(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil)
	in.hold(1, "Subject: x\r\n\r\nx\r\n", func(*quarantine.Hold) {})
	r := in.reader("olga")
	for _, id := range []string{"..%2f..%2fetc%2fpasswd", "%2e%2e", "....%2f%2f", "x%27%20OR%201=1--", "%00", "a%0d%0aX-Y:%20z", strings.Repeat("a", 4000), "*", "%22", "hold:*", "%F0%9F%92%A9"} {
		for _, rest := range []string{"", "/raw", "/html", "/part/..%2f..%2f1", "/link/..%2f0"} {
			if code, body := r.get("/held/" + id + rest); code != http.StatusNotFound && code != http.StatusBadRequest && code != http.StatusMovedPermanently && code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect || strings.Contains(body, "root:") {
				t.Errorf("%.60s%s: %d", id, rest, code)
			}
		}
	}
	for q, want := range map[string]int{
		"state:held';DROP TABLE holds;--": 400, "from:' OR 1=1 --@x": 200, "score:1;2": 400, "score:>=NaN": 400, "since:'": 400, "x' AND hold_words MATCH '*": 200,
		`"`: 400, "state:": 400, "class:%": 400, "direction:1=1": 400, "to:*": 400, "symbol:*": 200, strings.Repeat("x ", 1500): 400, "words:{marks}": 400, "NEAR(a b)": 200, `^a* -b "c"`: 200,
	} {
		code, body := r.get("/held?q=" + url.QueryEscape(q))
		if code != want && (want != 200 || code != 400) {
			t.Errorf("%.60q: %d", q, code)
		}
		if strings.Contains(body, "SQL") || strings.Contains(body, "fts5") || strings.Contains(body, "near \"") {
			t.Errorf("%.60q: the store speaks", q)
		}
	}
	for _, after := range []string{"'", "../x", "1.2", "-1.x", strings.Repeat("9", 300), "\x00"} {
		if code, body := r.get("/held?after=" + url.QueryEscape(after)); code >= 500 || strings.Contains(body, "SQL") {
			t.Errorf("after %q: %d", after, code)
		}
	}
	if code, _ := r.get("/held?order=" + url.QueryEscape("id;DROP")); code != 200 {
		t.Errorf("another order: %d", code)
	}
	_, page := r.get("/held")
	if !strings.Contains(page, "data-row>") {
		t.Error("the mail is gone")
	}
}

// TestHK09 shows what is larger than a page should read: the beginning of it, and says so. Raw,
// all of it is handed on.
func TestHK09(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil)
	r := in.reader("olga")
	large := "Subject: large\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nbeginning-word\r\n" + strings.Repeat(strings.Repeat("0123456789abcdef", 60)+"\r\n", 20<<10) + "--b--\r\n"
	var parts bytes.Buffer
	parts.WriteString("Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n")
	for n := range 10_000 {
		fmt.Fprintf(&parts, "--b\r\nContent-Type: text/plain; name=\"%d.txt\"\r\n\r\npart %d\r\n", n, n)
	}
	for n, raw := range []string{large, parts.String()} {
		h := in.hold(n, raw, func(*quarantine.Hold) {})
		for _, tab := range []string{"text", "headers", "parts", "links"} {
			began := time.Now()
			code, page := r.get("/held/" + h.ID + "?tab=" + tab)
			t.Logf("%d MB, %s: %v, %d octets", len(raw)>>20, tab, time.Since(began).Round(time.Millisecond), len(page))
			if code != 200 || len(page) > 1<<20 {
				t.Errorf("%s: %d with %d octets", tab, code, len(page))
			}
			if len(raw) > 4<<20 && !strings.Contains(page, "only its beginning") {
				t.Errorf("%s: nobody is told", tab)
			}
		}
		if code, body := r.get("/held/" + h.ID + "/raw"); code != 200 || body != raw {
			t.Errorf("raw: %d with %d octets of %d", code, len(body), len(raw))
		}
	}
}
