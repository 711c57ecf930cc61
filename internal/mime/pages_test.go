package mime_test

import (
	"strings"
	"testing"

	"postern/internal/mime"
)

const hiding = "<p>Dear Bob</p><p style=3D'display:none'>orchard lantern</p>"

// part is a part of a multipart.
func part(header, body string) string { return "--b\n" + header + "\n\n" + body + "\n" }

func parts(kind string, all ...string) *mime.Tree {
	raw := "Subject: x\nContent-Type: multipart/" + kind + "; boundary=b\n\n" + strings.Join(all, "") + "--b--\n"
	return mime.Bytes([]byte(strings.ReplaceAll(raw, "\n", "\r\n")), mime.DefaultLimits())
}

// TestPages: what is read with the message counts, once for each body; what is attached does not.
func TestPages(t *testing.T) {
	const quoted = "\nContent-Transfer-Encoding: quoted-printable"
	for name, x := range map[string]struct {
		tree    *mime.Tree
		pages   int
		visible string
	}{
		"a page beside its text": {
			parts("alternative", part("Content-Type: text/plain", "Dear Bob"), part("Content-Type: text/html"+quoted, hiding)),
			1, "Dear Bob\nDear Bob\n\n",
		},
		"two pages": {
			parts("mixed", part("Content-Type: text/html"+quoted, hiding), part("Content-Type: text/html"+quoted, hiding)),
			2, "Dear Bob\n\nDear Bob\n\n",
		},
		"an attached page": {
			parts("mixed", part("Content-Type: text/plain", "see the page"),
				part("Content-Type: text/html\nContent-Disposition: attachment; filename=a.html"+quoted, hiding)),
			0, "see the page\nDear Bob\norchard lantern\n",
		},
		"a page by its name alone": {
			parts("mixed", part("Content-Type: text/plain", "see the page"),
				part("Content-Type: application/octet-stream; name=a.html"+quoted, hiding)),
			0, "see the page\nDear Bob\norchard lantern\n",
		},
		"no page": {
			parts("mixed", part("Content-Type: text/plain", "Dear Bob")),
			0, "Dear Bob",
		},
	} {
		if n := len(x.tree.Pages().Texts); n != x.pages {
			t.Errorf("%s: %d pages", name, n)
		}
		if got := x.tree.Visible(); got != x.visible {
			t.Errorf("%s: %q of %q, wanted %q", name, got, x.tree.Text(), x.visible)
		}
		if hidden := x.tree.Pages().Hidden; hidden != 14*x.pages {
			t.Errorf("%s: %d letters are hidden", name, hidden)
		}
	}
}
