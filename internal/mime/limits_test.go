package mime_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"postern/internal/mime"
	"postern/internal/mime/oddity"
)

// TestHostileSizes: whatever is repeated, the work stays linear in the message, the parts
// within the limit, and what was not read is said.
func TestHostileSizes(t *testing.T) {
	nested := func(n int, layer func(i int) string) string {
		var sb strings.Builder
		for i := range n {
			sb.WriteString(layer(i))
		}
		return sb.String()
	}
	rep := strings.Repeat
	multi := top + "Content-Type: multipart/mixed; boundary=B\n\n"
	for name, tc := range map[string]struct {
		mail string
		kind mime.Kind
	}{
		"1,000 messages inside one another":    {nested(1000, func(int) string { return "Content-Type: message/rfc822\n\n" }), oddity.TooDeep},
		"10,000 multiparts inside one another": {nested(10000, func(i int) string { return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i) }), ""},
		"10,000 with the same boundary":        {nested(10000, func(int) string { return "Content-Type: multipart/mixed; boundary=B\n\n--B\n" }), oddity.TooManyParts},
		"300,000 empty parts":                  {multi + rep("--B\n\n", 300_000), oddity.TooManyParts},
		"parts behind the end":                 {multi + "--B\n\nx\n--B--\n" + rep("--B\nContent-Type: image/png\n\nx\n", 100_000), oddity.TooManyParts},
		"loose delimiters":                     {multi + "--B\n\nx\n" + rep("--Bx\nContent-Type: image/png\n\nx\n", 100_000), ""},
		"2,000,000 fields":                     {rep("a: b\n", 2_000_000) + "\nbody", oddity.TooManyFields},
		"one field of 30 MB":                   {"Subject: " + rep("x", 30<<20) + "\n\nbody", oddity.HeaderTooLong},
		"100,000 folds":                        {"Subject: a\n" + rep(" x\n", 100_000) + "\nbody", oddity.HeaderTooLong},
		"colon-less lines":                     {rep("a: b\nno colon here\n", 100_000) + "\nbody", oddity.TooManyFields},
		"100,000 nested comments":              {"From: " + rep("(", 100_000) + rep(")", 100_000) + " a@b.c\nContent-Type: " + rep("(", 40_000) + "\n\nbody", ""},
		"1 MB phrase":                          {"From: " + rep("word ", 40_000) + "<a@b.c>\n\nbody", ""},
		"bad encoded words":                    {"Subject: " + rep("=?utf-8?q?=", 20_000) + "\nFrom: " + rep("=?x?", 10_000) + "\n\nbody", ""},
		"colons in From":                       {"From: a@b" + rep(":", 200_000) + "\n\nbody", ""},
		"200,000 parameters":                   {"Content-Type: text/plain" + rep("; a=b", 40_000) + "\n\nbody", ""},
		"200,000 boundaries":                   {"Content-Type: multipart/mixed" + rep("; boundary=a", 20_000) + "\n\n--a\n\nx\n", ""},
		"long domain literal":                  {"From: a@[" + rep("1.", 100_000) + "]\n\nbody", ""},
		"dashes":                               {top + "Content-Type: multipart/mixed\n\n" + rep("--\n", 500_000), oddity.BoundaryMissing},
		"begin lines":                          {top + "\n" + rep("begin 644 x\n", 200_000), ""},
		"ybegin lines":                         {top + "\n" + rep("=ybegin name=x\n", 200_000), oddity.EmbeddedFile},
		"padding":                              {top + "Content-Transfer-Encoding: base64\n\n" + rep("YQ==", 500_000), oddity.Base64Broken},
		"a part behind 1,000 loose delimiters": {multi + "--B\n\nx\n" + rep("--Bx\n", 1000) + "--B\n" + attached + "--B--\n", oddity.TooManyParts},
		"a boundary behind 40 others":          {top + "Content-Type: multipart/mixed; boundary=a0" + manyParams(40) + "; boundary=B\n\n--a0\n\nx\n--a0--\n--B\n" + attached, oddity.TooManyReadings},
		"a name behind 40 others":              {top + "Content-Type: image/png; name=a0" + strings.ReplaceAll(manyParams(40), "boundary", "name") + "; name=x.exe\n\nx", oddity.TooManyReadings},
		"200 files in a text":                  {top + "\n" + rep("begin 644 x\n#0V%T\n`\nend\n", 200), oddity.TooManyReadings},
		"all carriage returns":                 {top + "\n" + rep("\r", 1<<20) + "x", oddity.MixedLineEnds},
	} {
		t.Run(name, func(t *testing.T) {
			tree := mime.Bytes(crlf([]byte(tc.mail)), mime.Limits{})
			tree.Text()
			tree.From()
			tree.Subject()
			if len(tree.Parts) > 1000 || len(tree.Anomalies) > 250 {
				t.Errorf("%d parts, %d anomalies", len(tree.Parts), len(tree.Anomalies))
			}
			if most := int64(len(tc.mail))*2*17 + 2<<20; tree.Work > most {
				t.Errorf("looked at %d bytes of a mail of %d", tree.Work, len(tc.mail))
			}
			if tc.kind != "" && !tree.Has(tc.kind) {
				t.Errorf("anomalies lack %s: %v", tc.kind, tree.Anomalies[:min(5, len(tree.Anomalies))])
			}
			if _, yes := tc.kind.Unscannable(); yes && len(tree.Unscannable) == 0 {
				t.Error("a limit was met and the mail counts as read")
			}
		})
	}
}

func manyParams(n int) string {
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "; boundary=a%d", i)
	}
	return sb.String()
}

func TestTooDeepContentIsStillAReading(t *testing.T) {
	tree := parse(strings.Repeat("Content-Type: message/rfc822\n\n", 40) + eicar)
	if !hit(tree) || len(tree.Unscannable) == 0 {
		t.Errorf("hit %v, unscannable %v", hit(tree), tree.Unscannable)
	}
}

func TestViewLimits(t *testing.T) {
	html := top + "Content-Type: text/html\n\n"
	for name, mail := range map[string]string{
		"1,000,000 nested tags": html + strings.Repeat("<div>", 1_000_000) + "text",
		"10 MB attribute":       html + "<a href=\"http://example.com/" + strings.Repeat("x", 10<<20) + "\">y</a>",
		"select":                html + strings.Repeat("<select><svg><option>", 100_000),
		"200,000 links":         html + strings.Repeat("<a href=\"http://example.com/?", 1) + strings.Repeat("http://a.example/?u=", 200_000),
		"8 MB of text":          top + "\n" + strings.Repeat("word ", 8<<20/5),
		"many links":            top + "\n" + manyLinks(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			tree := mime.Bytes([]byte(mail), mime.Limits{})
			if n := len(tree.Text()); n > 4<<20+16 {
				t.Errorf("text of %d bytes", n)
			}
			if n := len(tree.HTMLText()); n > 4<<20+16 {
				t.Errorf("HTML of %d bytes", n)
			}
			if n := len(tree.URLs()); n > 10_000 {
				t.Errorf("%d links", n)
			}
			if name != "select" && name != "200,000 links" && !tree.ViewCut() {
				t.Error("nothing says that the views were cut")
			}
		})
	}
}

func manyLinks(n int) string {
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "http://h%d.example/ ", i)
	}
	return sb.String()
}

func TestWalkReadsFromAReader(t *testing.T) {
	raw := []byte(top + "\nhello")
	tree, err := mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.Limits{})
	if err != nil || tree.Text() != "hello" {
		t.Errorf("%q, %v", tree.Text(), err)
	}
	if _, err := mime.Walk(bytes.NewReader(raw), int64(len(raw))+5, mime.Limits{}); err == nil {
		t.Error("a reader that is too short gives no error")
	}
}

// TestCutAnywhere cuts a message at every byte.
func TestCutAnywhere(t *testing.T) {
	raw := crlf([]byte(top + "Content-Type: multipart/mixed; boundary=\"B\"\n" + body("B")))
	for i := range raw {
		tree := mime.Bytes(raw[:i], mime.Limits{})
		tree.Text()
		tree.FileNames()
		if tree.Root == nil {
			t.Fatalf("no tree for %d bytes", i)
		}
	}
}
