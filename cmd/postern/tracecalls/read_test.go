package tracecalls_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/tracecalls"
	"postern/internal/record"
)

var noon = time.Date(2026, 6, 8, 12, 0, 0, 0, time.UTC)

const id = "01m82baay26sphsrhx6z78gxxs"

// TestRead has what people type understood: each line is a text and the searches it may mean.
func TestRead(t *testing.T) {
	mid := func(s string) record.Trace { return record.Trace{MessageID: s} }
	for text, want := range map[string][]record.Trace{
		"":                                     {{}},
		"  invoice  june ":                     {{Subject: "invoice june"}},
		`"to: be" or not`:                      {{Subject: "to: be or not"}},
		"ada@example.com":                      {{To: "ada@example.com"}, {From: "ada@example.com"}, mid("ada@example.com")},
		"<x.1@y.example>":                      {mid("x.1@y.example"), {From: "x.1@y.example"}, {To: "x.1@y.example"}},
		"<>":                                   {{From: "<>"}},
		"@example.com":                         {{To: "@example.com"}, {From: "@example.com"}},
		"Example.com hello":                    {{To: "@example.com", Subject: "hello"}, {From: "@example.com", Subject: "hello"}},
		id:                                     {{ID: id}},
		strings.ToUpper(id) + "-00":            {{ID: id + "-00"}},
		"192.0.2.1":                            {{IP: netip.MustParsePrefix("192.0.2.1/32")}},
		"192.0.2.0/24":                         {{IP: netip.MustParsePrefix("192.0.2.0/24")}},
		"2001:db8::1":                          {{IP: netip.MustParsePrefix("2001:db8::1/128")}},
		"4bXyZ12abc":                           {{Reply: "4bXyZ12abc"}, {Subject: "4bXyZ12abc"}},
		"2026":                                 {{Subject: "2026"}},
		"请求书":                                  {{Subject: "请求书"}},
		"from:a@b.example to:@c.example":       {{From: "a@b.example", To: "@c.example"}},
		`FROM:"a b"`:                           {{From: "a b"}},
		"account:ann direction:out state:Held": {{Account: "ann", Direction: "outbound", State: "held"}},
		"since:36h until:2026-06-07T14:00":     {{Since: noon.Add(-36 * time.Hour), Until: time.Date(2026, 6, 7, 14, 0, 0, 0, time.UTC)}},
		"since:7d prize":                       {{Since: noon.AddDate(0, 0, -7), Subject: "prize"}},
		"since:2026-06-01":                     {{Since: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}},
		"reply:QueuedId1 subject:x y":          {{Reply: "QueuedId1", Subject: "x y"}},
		"message-id:m@x id:" + id:              {{MessageID: "m@x", ID: id}},
		"ip:2001:db8::/32":                     {{IP: netip.MustParsePrefix("2001:db8::/32")}},
	} {
		got, read, err := tracecalls.Read(text, record.Trace{}, noon)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v\n got %+v\nwant %+v", text, err, got, want)
		}
		if (len(read) == 0) != (text == "") {
			t.Errorf("%q: it is not said how it was read: %v", text, read)
		}
	}
	base := record.Trace{State: "held", Subject: "one"}
	if got, _, err := tracecalls.Read("two", base, noon); err != nil || got[0].State != "held" || got[0].Subject != "one two" {
		t.Errorf("%+v %v", got, err)
	}
}

func TestReadErrors(t *testing.T) {
	for text, words := range map[string]string{
		"from:":                  "nothing stands behind it",
		`subject:"open`:          "not closed",
		"ip:300.1.1.1":           "ip:300.1.1.1",
		"direction:up":           "in or out",
		"state:lost":             "delivered, held",
		"since:yesterday":        "2026-01-31",
		"until:-3h":              "2026-01-31",
		"reply:ab":               "six characters",
		"a@b c@d e@f g@h":        "too much",
		strings.Repeat("a", 501): "at most 500",
		strings.Repeat("a ", 21): "at most 20",
	} {
		if _, _, err := tracecalls.Read(text, record.Trace{}, noon); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{"a@b", `from:"x`, "since:9999d", "ip:::/0", id + "-01", "\x00 \"\"", "to:a to:b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, _, err := tracecalls.Read(text, record.Trace{}, noon)
		if err == nil && (len(all) == 0 || len(all) > 24) {
			t.Errorf("%q means %d searches", text, len(all))
		}
		_ = fmt.Sprint(err)
	})
}
