package mime_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mime"
)

// node is a random part: a leaf with content or a multipart or message with parts.
type node struct {
	media    string
	encoding string
	name     string
	content  []byte
	sub      []node
}

func drawNode(t *rapid.T, depth int) node {
	kind := "leaf"
	if depth < 4 {
		kind = rapid.SampledFrom([]string{"leaf", "leaf", "multipart", "message"}).Draw(t, "kind")
	}
	switch kind {
	case "multipart":
		n := node{media: rapid.SampledFrom([]string{"multipart/mixed", "multipart/alternative", "multipart/related"}).Draw(t, "media")}
		for range rapid.IntRange(1, 4).Draw(t, "parts") {
			n.sub = append(n.sub, drawNode(t, depth+1))
		}
		return n
	case "message":
		return node{media: "message/rfc822", sub: []node{drawNode(t, depth+1)}}
	}
	n := node{
		media:    rapid.SampledFrom([]string{"text/plain", "text/html", "application/pdf", "image/png"}).Draw(t, "media"),
		encoding: rapid.SampledFrom([]string{"base64", "quoted-printable"}).Draw(t, "encoding"),
		name:     rapid.StringMatching(`[a-z]{1,8}\.[a-z]{3}`).Draw(t, "name"),
		content:  rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "content"),
	}
	return n
}

// write encodes n as a program that follows the standards would.
func (n node) write(sb *strings.Builder, id *int) {
	*id++
	switch {
	case strings.HasPrefix(n.media, "multipart/"):
		boundary := fmt.Sprintf("=_b%d_%d", *id, len(n.sub))
		fmt.Fprintf(sb, "Content-Type: %s; boundary=\"%s\"\r\n\r\nThis is MIME.\r\n", n.media, boundary)
		for _, s := range n.sub {
			fmt.Fprintf(sb, "--%s\r\n", boundary)
			s.write(sb, id)
			sb.WriteString("\r\n")
		}
		fmt.Fprintf(sb, "--%s--\r\n", boundary)
	case n.media == "message/rfc822":
		sb.WriteString("Content-Type: message/rfc822\r\n\r\nFrom: inner@example.com\r\n")
		n.sub[0].write(sb, id)
	default:
		fmt.Fprintf(sb, "Content-Type: %s; name=\"%s\"\r\nContent-Transfer-Encoding: %s\r\n\r\n", n.media, n.name, n.encoding)
		if n.encoding == "base64" {
			enc := base64.StdEncoding.EncodeToString(n.content)
			for len(enc) > 76 {
				sb.WriteString(enc[:76] + "\r\n")
				enc = enc[76:]
			}
			sb.WriteString(enc)
			return
		}
		var qp bytes.Buffer
		w := quotedprintable.NewWriter(&qp)
		w.Binary = true
		w.Write(n.content)
		w.Close()
		sb.Write(qp.Bytes())
	}
}

// same compares a random part with a walked one.
func (n node) same(p *mime.Part) error {
	if p.MediaType != n.media {
		return fmt.Errorf("part %s is %s, want %s", p.Path, p.MediaType, n.media)
	}
	if len(n.sub) == 0 {
		if !bytes.Equal(p.Decoded(), n.content) {
			return fmt.Errorf("part %s holds %q, want %q", p.Path, p.Decoded(), n.content)
		}
		if len(p.FileNames) != 1 || p.FileNames[0] != n.name {
			return fmt.Errorf("part %s has names %q, want %q", p.Path, p.FileNames, n.name)
		}
		return nil
	}
	plain := 0
	for _, c := range p.Children {
		if c.Alternate {
			continue
		}
		if plain >= len(n.sub) {
			return fmt.Errorf("part %s has too many parts", p.Path)
		}
		if want := fmt.Sprintf("%s.%d", p.Path, plain+1); c.Path != want || c.Parent != p {
			return fmt.Errorf("part %s is called %s", want, c.Path)
		}
		if err := n.sub[plain].same(c); err != nil {
			return err
		}
		plain++
	}
	if plain != len(n.sub) {
		return fmt.Errorf("part %s has %d parts, want %d", p.Path, plain, len(n.sub))
	}
	return nil
}

// TestWrittenIsRead: whatever tree a program writes by the standards is read back as it
// was, without any oddity.
func TestWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		root := drawNode(t, 0)
		var sb strings.Builder
		sb.WriteString("From: a@example.com\r\nMIME-Version: 1.0\r\n")
		id := 0
		root.write(&sb, &id)
		tree := mime.Bytes([]byte(sb.String()), mime.Limits{})
		if err := root.same(tree.Root); err != nil {
			t.Fatalf("%v\n%s", err, sb.String())
		}
		if len(tree.Unscannable) > 0 {
			t.Fatalf("unscannable: %v\n%s", tree.Unscannable, sb.String())
		}
	})
}

// TestPartsCoverTheMessage: every part lies inside its parent, and its raw bytes are where
// its offsets say.
func TestPartsCoverTheMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sb strings.Builder
		id := 0
		drawNode(t, 0).write(&sb, &id)
		raw := []byte(sb.String())
		for _, p := range mime.Bytes(raw, mime.Limits{}).Parts {
			if p.Alternate {
				continue
			}
			if !bytes.Equal(p.Raw(), raw[p.Start:p.End]) || !bytes.Equal(p.Body(), raw[p.BodyStart:p.End]) {
				t.Fatalf("part %s is not at %d..%d", p.Path, p.Start, p.End)
			}
			if up := p.Parent; up != nil && (p.Start < up.BodyStart || p.End > up.End) {
				t.Fatalf("part %s lies outside its parent", p.Path)
			}
		}
	})
}

// TestNoLossByDamage: damage a well-formed mail at random; the content of every leaf that
// the damage did not touch is still found, or the mail is unscannable.
func TestNoLossByDamage(t *testing.T) {
	needle := []byte(eicar)
	base := crlf([]byte(top + "Content-Type: multipart/mixed; boundary=\"B\"\n" + body("B")))
	at := bytes.Index(base, []byte(b64[:20]))
	field := bytes.Index(base, []byte("Content-Transfer-Encoding"))
	rapid.Check(t, func(t *rapid.T) {
		// Anything but the encoded bytes and the field that says how to decode them.
		pos := rapid.IntRange(0, field-1).Draw(t, "pos")
		junk := rapid.SampledFrom([]string{"\x00", "\r", "\n", " ", ";", "\"", "(", ")", "\\", "=", ":", "-", "\xff", "x"}).Draw(t, "junk")
		raw := append(append(bytes.Clone(base[:pos]), junk...), base[pos:]...)
		tree := mime.Bytes(raw, mime.Limits{})
		for _, p := range tree.Parts {
			for _, r := range p.Readings() {
				if bytes.Contains(r, needle) {
					return
				}
			}
		}
		if len(tree.Unscannable) > 0 {
			return
		}
		// What no mail program can read as an attachment any more is text: it must be in full
		// in some body.
		for _, p := range tree.Parts {
			if bytes.Contains(p.Body(), base[at:at+20]) {
				return
			}
		}
		t.Fatalf("%q at %d loses the attachment: %v", junk, pos, tree.Anomalies)
	})
}
