package conformance

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"

	"postern/filter"
	"postern/filter/header"
	"postern/internal/mime"
	"postern/rules"
)

// message16 is text in UTF-16 without a mark, in Base64 as it travels.
func message16(text string, little bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		pair := []byte{byte(u >> 8), byte(u)}
		if little {
			pair[0], pair[1] = pair[1], pair[0]
		}
		b = append(b, pair...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// shifted writes every character of text as UTF-7 writes those outside ASCII.
func shifted(text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return "+" + strings.TrimRight(base64.StdEncoding.EncodeToString(b), "=") + "-"
}

// overlong writes every character of ASCII in two bytes.
func overlong(text string) string {
	var b []byte
	for i := range len(text) {
		b = append(b, 0xc0|text[i]>>6, 0x80|text[i]&0x3f)
	}
	return string(b)
}

// hidden are bodies that say the text to who reads their charset, and not in their bytes.
func hidden(text string) map[string]string {
	const base = "\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	half := len(text) / 2
	return map[string]string{
		"UTF-7":                        "Content-Type: text/plain; charset=utf-7\r\n\r\n" + shifted(text),
		"UTF-7 by its old name":        "Content-Type: text/html; charset=unicode-1-1-utf-7\r\n\r\n" + shifted(text),
		"UTF-7, one letter":            "Content-Type: text/plain; charset=utf-7\r\n\r\n" + strings.ReplaceAll(text[:half], "+", "+-") + shifted(text[half:half+1]) + strings.ReplaceAll(text[half+1:], "+", "+-"),
		"UTF-16 no BOM":                "Content-Type: text/plain; charset=utf-16" + base + message16(text, true),
		"UTF-16BE no BOM":              "Content-Type: text/plain; charset=utf-16be" + base + message16(text, false),
		"UTF-16 no BOM, no name":       "Content-Type: text/plain" + base + message16(text, true),
		"UTF-16 no BOM, called ASCII":  "Content-Type: text/plain; charset=us-ascii" + base + message16(text, false),
		"UTF-16 no BOM, called UTF-8":  "Content-Type: text/html; charset=utf-8" + base + message16(text, true),
		"ISO-2022-JP":                  "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + text[:half] + "\x1b(B" + text[half:],
		"ISO-2022-JP, no name":         "Content-Type: text/plain\r\n\r\n\x1b$B%\"\x1b(B\r\n" + text[:half] + "\x1b(B" + text[half:],
		"overlong UTF-8":               "Content-Type: text/plain; charset=utf-8\r\n\r\n" + overlong(text),
		"overlong UTF-8, one letter":   "Content-Type: text/plain\r\n\r\n" + text[:half] + overlong(text[half:half+1]) + text[half+1:],
		"overlong UTF-8, unknown name": "Content-Type: text/plain; charset=x-none\r\n\r\n" + overlong(text),
	}
}

// TestHiddenInCharsets is H-F16: what a charset hides is scanned, and patterns read it.
func TestHiddenInCharsets(t *testing.T) {
	for name, part := range hidden(eicar) {
		raw := "From: a@b.example\r\nMIME-Version: 1.0\r\n" + part + "\r\n"
		if how := seen(t, raw); how != "found" {
			t.Errorf("H-F16 %s: %q", name, how)
		}
		tree := mime.Bytes([]byte(raw), mime.Limits{})
		given := false
		for alt := range tree.Alternatives() {
			given = given || bytes.Contains(alt.Data, []byte(eicar))
		}
		if !given {
			t.Errorf("H-F16 %s: no scanner is given it", name)
		}
	}
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, part := range hidden("dear customer, your account + card are closed") {
		if found := patterns(t, set, "From: a@b.example\r\nMIME-Version: 1.0\r\n"+part+"\r\n"); found["GREET_NOBODY"] == "" {
			t.Errorf("H-F16 %s: patterns do not read it: %v", name, found)
		}
	}
}

// patterns are the patterns that fire, with what they matched.
func patterns(t *testing.T, set *rules.Set, raw string) map[string]string {
	t.Helper()
	m := message([]byte(raw))
	found, err := set.Patterns().Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range found {
		out[f.Symbol] = f.Detail
	}
	return out
}

// TestHonestCharsets: mail that is in such a charset honestly is one text, and no text is read
// twice.
func TestHonestCharsets(t *testing.T) {
	for name, part := range hidden("a quiet letter about the garden + the house") {
		tree := mime.Bytes([]byte("From: a@b.example\r\nMIME-Version: 1.0\r\n"+part+"\r\n"), mime.Limits{})
		if n := strings.Count(tree.Text(), "quiet letter"); n != 1 {
			t.Errorf("%s: the text is there %d times: %q", name, n, tree.Text())
		}
		if got := tree.Has("CHARSET_UTF7"); got != strings.HasPrefix(name, "UTF-7") {
			t.Errorf("%s: UTF-7 %v", name, got)
		}
	}
}

// TestDisguisedHeaders is H-E09: what is hidden in a header is decoded for rules, and the bytes
// stay as they came.
func TestDisguisedHeaders(t *testing.T) {
	const want = "next of kin"
	set, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte(`patterns: [{id: T_KIN, in: subject, match: '(?i)next of kin', describe: x}]`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{
		"bidi":                      "you are the \u202enext of\u202c kin",
		"zero width":                "you are the n\u200be\u200cx\u200dt o\u2060f k\ufeffin",
		"soft hyphens":              "you are the n\u00adext of k\u00adin",
		"homoglyphs":                "you are the nехt оf kіn",
		"mathematical letters":      "you are the 𝐧𝐞𝐱𝐭 𝗼𝗳 𝓀𝒾𝓃",
		"wide letters":              "you are the ｎｅｘｔ ｏｆ ｋｉｎ",
		"marks":                     "you are the n\u0336e\u0336x\u0336t o\u0335f k\u0337i\u0337n",
		"encoded":                   "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("you are the nехt оf kіn")) + "?=",
		"a split character":         "=?utf-8?q?you_are_the_n=D0?= =?utf-8?q?=B5xt_of_kin?=",
		"a split character, Base64": "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("you are the n\xd0")) + "?=\r\n =?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte("\xb5xt of kin")) + "?=",
	} {
		raw := "From: a@b.example\r\nSubject: " + subject + "\r\n\r\nhello\r\n"
		tree := mime.Bytes([]byte(raw), mime.Limits{})
		if !bytes.Contains(tree.Root.Raw(), []byte(subject)) {
			t.Errorf("H-E09 %s: the bytes are not kept", name)
		}
		if got := patterns(t, set, raw)["T_KIN"]; got != want {
			t.Errorf("H-E09 %s: %q, want %q", name, got, want)
		}
	}
}

// TestNoYearRejects is H-E10: whatever the date says, it alone refuses nothing.
func TestNoYearRejects(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 11, 0, 0, 0, time.UTC)
	check := header.New(header.Us{})
	dates := []string{"", "yesterday", "Thu, 01 Jan 1970 00:00:00 +0000", "Tue, 19 Jan 2038 03:14:08 +0000", "Fri, 31 Dec 9999 23:59:59 +0000", "Sun, 99 Nov 2026 99:99:99 +9999",
		"Mon, 1 Jan 0001 00:00:00 +0000", "Sun, 22 Nov 126 10:00:00 GMT", "\x00\xff", strings.Repeat("9", 4000)}
	for year := 1990; year < 2040; year += 7 {
		dates = append(dates, fmt.Sprintf("22 Nov %d 10:00:00 +0000", year))
	}
	for _, date := range dates {
		raw := "From: Ann Example <ann@example.org>\r\nTo: bob@example.com\r\nSubject: The minutes\r\nMessage-ID: <1@example.org>\r\nDate: " + date + "\r\n\r\nDear Bob, these are the minutes.\r\n"
		m := message([]byte(raw))
		m.Time, m.Direction = now, filter.Inbound
		m.Client.IP, m.To = netip.MustParseAddr("192.0.2.1"), []filter.Recipient{{Address: "bob@example.com"}}
		found, err := check.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		more, err := set.Patterns().Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if v := set.Judge(m, filter.Report{Findings: append(found, more...)}, "default"); v.Action > filter.Tag {
			t.Errorf("H-E10 %.40q: %v %v", date, v.Action, v.Reasons)
		}
	}
}
