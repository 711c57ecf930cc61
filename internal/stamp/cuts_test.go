package stamp_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp"
)

// H-E08: what pretends to be ours goes, what is like it stays.
func TestForgedFieldsGo(t *testing.T) {
	gone := []string{
		"X-Postern-Verdict: accept\r\n",
		"x-postern-verdict : accept\r\n",
		"X-POSTERN-REASONS\t:a\r\n b\r\n\tc\r\n",
		"X-Postern-Unchecked\r\n : none\r\n",
		"X-Spam-Flag: NO\r\n",
		"X-Spam-Score: -100\r\n \r\n more\r\n",
		"Authentication-Results: mx1.example.com; dmarc=pass\r\n",
		"authentication-results:MX1.EXAMPLE.COM; dmarc=pass\r\n",
		"Authentication-Results:\r\n mx1.example.com 1;\r\n dmarc=pass\r\n",
		"Authentication-Results: (mx9 ; (nested\\) \") x) \"mx1.\\example.com\" (c);\r\n",
		"Authentication-Results: \"mx1\" . example.com; spf=pass\r\n",
		"Authentication-Results: mx1.example.com.; spf=pass\r\n",
		"Authentication-Results: mx1.example.com/1; spf=pass\r\n",
		"Authentication-Results: mx1.example.com none\r\n",
		"Authentication-Results : mx1.example.com\r\n",
		"Authentication-Results: (never closed mx1.example.com; dkim=pass\r\n",
		"Authentication-Results: \"mx1.example.com; dkim=pass\r\n",
		"Authentication-Results: (" + strings.Repeat("c", 70<<10) + ") mx1.example.com; dkim=pass\r\n",
		"Authentication-Results: " + strings.Repeat("(", 100<<10) + "\r\n",
		"X-Spam-Flag" + strings.Repeat(" ", 70<<10) + ": YES\r\n",
	}
	kept := []string{
		"Authentication-Results: mx2.example.com; spf=pass (mx1.example.com)\r\n",
		"Authentication-Results: other.example; x=\"mx1.example.com;\"\r\n",
		"Authentication-Results: xmx1.example.com; spf=pass\r\n",
		"X-Spam-Flagged: YES\r\n", "X-Spam: x\r\n", "X-Postern-Verdict-2: x\r\n",
		"Subject: X-Spam-Flag: YES\r\n", "Subject: a\r\n X-Spam-Flag: YES\r\n",
		"no colon X-Spam-Flag\r\n", "ARC-Authentication-Results: i=1; mx1.example.com; spf=pass\r\n",
	}
	const body = "\r\nX-Spam-Flag: in the body\r\n"
	for _, g := range gone {
		for _, k := range kept {
			for _, in := range []string{g + k, k + g, g + k + g, k + g + g + k} {
				m := message(in + body)
				want := strings.ReplaceAll(in, g, "") + body
				if got := read(t, stamper(), nil, m); got != want {
					t.Errorf("%.100q became %.200q", in, got)
				}
			}
		}
	}
}

// H-A15, H-E03: whatever the first lines are, our block brings no boundary between header
// and body where there was none, and its last field swallows nothing.
func TestMalformedFirstLine(t *testing.T) {
	for _, in := range []string{
		"", "\r\n", "\r\n\r\nbody\r\n", "no colon\r\n", "no colon\r\n\r\nbody\r\n", ": no name\r\n\r\n", "Sub", "Subject: s", "Subject: s\r\n",
		" leading: blank\r\nSubject: s\r\n\r\nb\r\n", "\tX-Spam-Flag: NO\r\n\r\n", " \r\nSubject: s\r\n\r\n",
		"From x@y Mon Nov 22\r\nSubject: s\r\n\r\nb\r\n", "\xff\x00: x\r\n\r\n", ".\r\n", "\r", "\n", "\n\nX-Spam-Flag: x\n",
		"X-Spam-Flag: NO", "X-Spam-Flag: NO\r\n", "X-Spam-Flag: NO\r\n continued\r\n", "X-Spam-Flag: NO\r\n\r\n folded body\r\n",
		strings.Repeat("From ", 20<<10) + "\r\nSubject: s\r\n\r\n",
	} {
		checkOutput(t, []byte(in))
	}
}

// lines cuts text after each LF and says how many lines come before the first empty one.
func split(text []byte) (lines [][]byte, head int) {
	head = -1
	for len(text) > 0 {
		n := bytes.IndexByte(text, '\n') + 1
		if n == 0 {
			n = len(text)
		}
		if head < 0 && len(bytes.TrimRight(text[:n], "\r\n")) == 0 && text[n-1] == '\n' {
			head = len(lines)
		}
		lines = append(lines, text[:n])
		text = text[n:]
	}
	if head < 0 {
		head = len(lines)
	}
	return lines, head
}

// oracle is a lenient reading of a header: the unfolded value of each field by name.
func oracle(text []byte) map[string][]string {
	lines, head := split(text)
	got := map[string][]string{}
	last := ""
	var logical [][]byte
	for _, l := range lines[:head] {
		if len(logical) > 0 && (l[0] == ' ' || l[0] == '\t') {
			logical[len(logical)-1] = append(slices.Clone(logical[len(logical)-1]), l...)
			continue
		}
		logical = append(logical, l)
	}
	for _, l := range logical {
		name, value, ok := bytes.Cut(l, []byte(":"))
		if !ok || len(l) > 0 && (l[0] == ' ' || l[0] == '\t') {
			continue
		}
		last = strings.ToLower(strings.TrimRight(string(name), " \t\r\n"))
		got[last] = append(got[last], string(value))
	}
	return got
}

// checkOutput holds what goes out against what came in.
func checkOutput(t *testing.T, in []byte) {
	t.Helper()
	s := stamper()
	m := message("")
	m.Body, m.Size = bytes.NewReader(in), int64(len(in))
	v := filter.Verdict{Action: filter.Quarantine, Score: 777, Policy: "p"}
	block := s.Block(m, v, filter.Report{}, []string{"b@example.com"})
	r, size, err := s.Open(block, m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil || int64(len(out)) != size {
		t.Fatalf("%d bytes of %d: %v", len(out), size, err)
	}
	cuts, orphan, err := stamp.Cuts(bytes.NewReader(in), s.Names, filter.Inbound)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(block)
	if orphan {
		want = append(want, "Comments: the next line had no field name\r\n"...)
	}
	pos := int64(0)
	for _, c := range cuts {
		if c.Start < pos || c.End <= c.Start || c.Start > 0 && in[c.Start-1] != '\n' {
			t.Fatalf("cut %v in %q", c, in)
		}
		want = append(want, in[pos:c.Start]...)
		pos = c.End
	}
	want = append(want, in[pos:]...)
	if !bytes.Equal(out, want) {
		t.Fatalf("out is not block + input - cuts\n in %q\nout %q", in, out)
	}
	// The body, as the strict reader sees it, is the same.
	inLines, inHead := split(in)
	outLines, outHead := split(out)
	if a, b := bytes.Join(inLines[inHead:], nil), bytes.Join(outLines[outHead:], nil); !bytes.Equal(a, b) {
		t.Fatalf("the body changed from %q to %q", a, b)
	}
	ours := oracle(block)
	got := oracle(out)
	for _, name := range []string{"x-postern-verdict", "x-postern-reasons", "x-postern-unchecked", "x-spam-flag", "x-spam-score"} {
		if len(got[name]) != 1 || got[name][0] != ours[name][0] {
			t.Fatalf("%s: %q in %q", name, got[name], in)
		}
	}
	mine := 0
	for _, value := range got["authentication-results"] {
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(value)), "mx1.example.com;") {
			mine++
		}
	}
	if mine != 1 {
		t.Fatalf("%d Authentication-Results under our name in %q", mine, out)
	}
}

func FuzzOutput(f *testing.F) {
	for _, seed := range []string{
		"Subject: s\r\n\r\nbody\r\n", "X-Spam-Flag: NO\r\nA: b\r\n", " x\r\nX-Spam-Score : 1\r\n 2\r\n\r\n",
		"Authentication-Results: (a) mx1.example.com; x\r\n\r\n", "Authentication-Results: \"mx1.example.com\"; x\r\n\n", "a\r\nX-Postern-Verdict:\n\tb\nX-Postern-Reasons\n :\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkOutput(t, in) })
}

func BenchmarkReader(b *testing.B) {
	for _, size := range []int{2 << 10, 20 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dk", size>>10), func(b *testing.B) {
			var head strings.Builder
			for i := range 20 {
				fmt.Fprintf(&head, "X-Header-%d: some value of ordinary length that fills a line\r\n", i)
			}
			m := message(head.String() + "X-Spam-Flag: NO\r\n\r\n" + strings.Repeat("0123456789abcdef0123456789abcdef0123456789abcdef\r\n", size/50))
			s := stamper()
			block := s.Block(m, filter.Verdict{}, filter.Report{}, []string{"b@example.com"})
			b.SetBytes(m.Size)
			b.ReportAllocs()
			for b.Loop() {
				r, _, err := s.Open(block, m)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkBlock(b *testing.B) {
	s, m := stamper(), message("")
	v := filter.Verdict{Policy: "default", Rules: "r1", Reasons: []filter.Reason{{Symbol: "A", Score: 100, Describe: "One plain sentence about it"}, {Symbol: "B", Describe: "Another"}}}
	r := filter.Report{Findings: []filter.Finding{{Auth: &filter.AuthResult{Method: "spf", Result: "pass", Props: []filter.AuthProp{{Type: "smtp", Name: "mailfrom", Value: "a@b.example"}}}}}}
	b.ReportAllocs()
	for b.Loop() {
		s.Block(m, v, r, []string{"b@example.com"})
	}
}
