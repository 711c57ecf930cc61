package conformance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/attach"
	"postern/filter/header"
	"postern/filter/link"
	"postern/internal/address"
	"postern/internal/mailtest"
	"postern/internal/mime"
	mimeheader "postern/internal/mime/header"
	"postern/internal/mime/param"
)

// cost is the least processor time of a few runs.
func cost(t *testing.T, run func()) time.Duration {
	t.Helper()
	least := time.Duration(1 << 62)
	for range 3 {
		began := mailtest.CPU(t)
		run()
		least = min(least, mailtest.CPU(t)-began)
	}
	return least
}

// linear fails where eight times the input costs far more than eight times the work. What costs next
// to nothing is not compared: there is a limit before it.
func linear(t *testing.T, name string, run func(n int)) {
	t.Helper()
	const times, nothing = 8, 20 * time.Millisecond
	small, large := cost(t, func() { run(1) }), cost(t, func() { run(times) })
	if large > nothing && large > 4*times*max(small, time.Millisecond) {
		t.Errorf("%s: %s, and %s for %d times as much", name, small, large, times)
	}
	t.Logf("%s: %s, %s", name, small, large)
}

// hostileValues are the values of H-E05, each so many bytes long.
func hostileValues() map[string]func(n int) string {
	return map[string]func(n int) string{
		"nested comments":           func(n int) string { return strings.Repeat("(", n) + "x" + strings.Repeat(")", n) + " <a@b.example>" },
		"open comments":             func(n int) string { return strings.Repeat("(", n) },
		"a phrase":                  func(n int) string { return strings.Repeat("word ", n/5) + "<a@b.example>" },
		"a quoted phrase":           func(n int) string { return `"` + strings.Repeat(`\"`, n/2) + `" <a@b.example>` },
		"open quotes":               func(n int) string { return strings.Repeat(`"a`, n/2) },
		"bad encoded words":         func(n int) string { return strings.Repeat("=?utf-8?B?=?=", n/13) },
		"encoded words not ended":   func(n int) string { return strings.Repeat("=?utf-8?Q?a", n/11) },
		"encoded words of no set":   func(n int) string { return strings.Repeat("=?x?Q?a?= ", n/10) },
		"a long domain literal":     func(n int) string { return "a@[" + strings.Repeat("1:", n/2) + "]" },
		"an open domain literal":    func(n int) string { return "<a@[" + strings.Repeat("[", n) },
		"routes":                    func(n int) string { return "<" + strings.Repeat("@a,", n/3) + ":a@b.example>" },
		"a list of very many":       func(n int) string { return strings.Repeat("a@b.example, ", n/13) },
		"groups":                    func(n int) string { return strings.Repeat("g:", n/2) },
		"parameters":                func(n int) string { return "text/plain" + strings.Repeat("; a=b", n/5) },
		"parts of a parameter":      func(n int) string { return "text/plain" + strings.Repeat("; a*1=b", n/7) },
		"comments in a parameter":   func(n int) string { return "text/plain; a=" + strings.Repeat("(b)", n/3) },
		"dots of a domain":          func(n int) string { return "a@" + strings.Repeat("b.", n/2) + "example" },
		"a domain of marks":         func(n int) string { return "a@" + strings.Repeat("\u0301", n/2) + ".example" },
		"labels that claim to mean": func(n int) string { return "a@" + strings.Repeat("xn--a.", n/6) + "example" },
	}
}

// TestHostileValues is H-E05: values of header fields that once cost other parsers quadratic time or
// the stack cost each of ours what their length is worth.
func TestHostileValues(t *testing.T) {
	const unit = 64 << 10
	for name, value := range hostileValues() {
		for what, parse := range map[string]func(string){
			"mailboxes":  func(s string) { mimeheader.Mailboxes(s) },
			"words":      func(s string) { mimeheader.Words(s) },
			"parameters": func(s string) { param.Parse(s) },
			"address":    func(s string) { address.Parse(s, true) },
			"normalised": func(s string) { address.Normalize(s) },
		} {
			linear(t, "H-E05 "+name+" as "+what, func(n int) { parse(value(n * unit)) })
		}
	}
}

// TestHostileValuesInMail looks at the same through the whole of a message: the limits on a header come
// first, and what is beyond them is said.
func TestHostileValuesInMail(t *testing.T) {
	checks := header.New(header.Us{})
	for name, value := range hostileValues() {
		for _, field := range []string{"From", "Subject", "Content-Type", "Message-ID", "Reply-To"} {
			raw := []byte("From: a@b.example\r\n" + field + ": " + value(1<<20) + "\r\n\r\nhello\r\n")
			tree := mime.Bytes(raw, mime.Limits{})
			if len(tree.Unscannable) == 0 {
				t.Errorf("H-E05 %s in %s: a header of a megabyte is not said", name, field)
			}
			m := message(raw)
			found, err := (&attach.Check{}).Check(t.Context(), m)
			if err != nil || !slices.ContainsFunc(found, func(f filter.Finding) bool { return f.Symbol == attach.Unscannable }) {
				t.Errorf("H-E05 %s in %s: %v %v", name, field, found, err)
			}
			if _, err := checks.Check(t.Context(), m); err != nil {
				t.Errorf("H-E05 %s in %s: %v", name, field, err)
			}
		}
	}
}

// TestVeryManyLinks is H-F19: links beyond the limit are said and cost no more than those below it;
// links in the queries of links do not nest the work.
func TestVeryManyLinks(t *testing.T) {
	most := mime.DefaultLimits().URLs
	page := func(n int, link func(i int) string) []byte {
		var b strings.Builder
		b.WriteString("From: a@b.example\r\nContent-Type: text/html\r\n\r\n<html>")
		for i := range n {
			b.WriteString(link(i))
		}
		return []byte(b.String())
	}
	nested := func(depth int) string { return strings.Repeat("http://a.example/?u=", depth) }
	for name, raw := range map[string][]byte{
		"200,000 links":      page(200_000, func(i int) string { return fmt.Sprintf("<a href=http://h%d.example/>x</a>", i) }),
		"200,000 in text":    page(200_000, func(i int) string { return fmt.Sprintf("http://h%d.example/ ", i) }),
		"of one host":        page(200_000, func(i int) string { return fmt.Sprintf("<a href=http://a.example/%d>x</a>", i) }),
		"queries of queries": page(2000, func(int) string { return "<a href='" + nested(100) + "'>x</a>" }),
		"one of a megabyte":  page(1, func(int) string { return nested(50_000) }),
	} {
		tree := mime.Bytes(raw, mime.Limits{})
		if n := len(tree.URLs()); n == 0 || n > most {
			t.Errorf("H-F19 %s: %d links", name, n)
		}
		for _, u := range tree.URLs() {
			if len(u.Raw) > 2048 {
				t.Errorf("H-F19 %s: a link of %d bytes", name, len(u.Raw))
				break
			}
		}
		if cut := tree.ViewCut(); cut != (strings.HasPrefix(name, "200,000") || name == "of one host") {
			t.Errorf("H-F19 %s: cut is %v", name, cut)
		}
		if found, err := link.New([]string{"example.com"}).Check(t.Context(), message(raw)); err != nil {
			t.Errorf("H-F19 %s: %v %v", name, found, err)
		}
	}
	linear(t, "H-F19 links", func(n int) {
		mime.Bytes(page(n*1000, func(i int) string { return fmt.Sprintf("<a href=http://h%d.example/>x</a>", i) }), mime.Limits{}).URLs()
	})
	linear(t, "H-F19 queries of queries", func(n int) {
		mime.Bytes(page(20, func(int) string { return nested(n * 1000) }), mime.Limits{}).URLs()
	})
}
