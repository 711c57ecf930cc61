package mime_test

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/mime"
)

// TestRecodedText: a text that its charset hides has one reading more, for scanners, and one view.
func TestRecodedText(t *testing.T) {
	for _, x := range []struct {
		name, raw, text string
		more            bool
	}{
		{"UTF-7", "Content-Type: text/plain; charset=utf-7\r\n\r\n+AEQ-ear Bob", "Dear Bob", true},
		{"UTF-7 without shifts", "Content-Type: text/plain; charset=utf-7\r\n\r\nDear Bob", "Dear Bob", false},
		{"UTF-16 in Base64", "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\nRABlAGEAcgAgAEIAbwBiAA==", "Dear Bob", true},
		{"the same without a name", "Content-Transfer-Encoding: base64\r\n\r\nRABlAGEAcgAgAEIAbwBiAA==", "Dear Bob", true},
		{"overlong", "Content-Type: text/html\r\n\r\n<p>\xc1\x84ear Bob</p>", "Dear Bob", true},
		{"UTF-8", "Content-Type: text/plain; charset=utf-8\r\n\r\nDear Böb", "Dear Böb", false},
		{"latin", "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nDear B\xf6b", "Dear Böb", false},
		{"a file", "Content-Type: application/octet-stream\r\n\r\n\xc1\x84ear Bob", "", false},
	} {
		tree := mime.Bytes([]byte("From: a@b.example\r\n"+x.raw), mime.Limits{})
		if got := strings.TrimSpace(tree.Text()); got != x.text {
			t.Errorf("%s: the text is %q, want %q", x.name, got, x.text)
		}
		leaf := slices.Collect(tree.Leaves())[0]
		if more := len(leaf.Readings()) > len(leaf.Encoded()); more != x.more {
			t.Errorf("%s: a reading more: %v", x.name, more)
		}
		given := 0
		for alt := range tree.Alternatives() {
			if alt.Why == mime.Recoded && strings.Contains(string(alt.Data), "Dear Bob") {
				given++
			}
		}
		if (given == 1) != x.more {
			t.Errorf("%s: given to scanners %d times", x.name, given)
		}
	}
}

// TestFilesInRecodedText: what is embedded in a text is found through its charset.
func TestFilesInRecodedText(t *testing.T) {
	const file = "begin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n"
	raw := "Content-Type: text/plain; charset=utf-7\r\n\r\nsee\r\n" + strings.Replace(file, "begin", "+AGI-egin", 1)
	tree := mime.Bytes([]byte(raw), mime.Limits{})
	if names := tree.FileNames(); !slices.Contains(names, "a.exe") {
		t.Errorf("files %q, oddities %v", names, tree.Anomalies)
	}
}

// TestHiddenPlacesAreCounted over plain text and pages alike.
func TestHiddenPlacesAreCounted(t *testing.T) {
	for raw, want := range map[string]int{
		"Content-Type: text/plain; charset=utf-8\r\n\r\nv\u200bi\u200ba":                         2,
		"Content-Type: text/html; charset=utf-8\r\n\r\n<p>v&#8203;i&#8203;a</p><b>p\u200bay</b>": 2,
		"Content-Type: text/plain; charset=utf-8\r\n\r\nvia":                                     0,
	} {
		tree := mime.Bytes([]byte(raw), mime.Limits{})
		if got := tree.Figures().Hidden; got != want {
			t.Errorf("%q: %d places, want %d", raw, got, want)
		}
	}
}
