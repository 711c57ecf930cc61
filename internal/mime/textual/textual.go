// Package textual makes what may be read of a message whose files may not be taken: its headers
// and its texts, with every other body left out. It is for looking at, never for sending on.
package textual

import (
	"bytes"
	"strings"

	"postern/internal/mime"
)

// Of is the message that is left of the walked one. What cannot be told apart for certain leaves
// the header of the message alone.
func Of(t *mime.Tree) []byte {
	if len(t.Unscannable) > 0 {
		return clone(head(t.Root))
	}
	var b bytes.Buffer
	write(&b, t.Root)
	return b.Bytes()
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// head is the header of a part with the empty line behind it.
func head(p *mime.Part) []byte {
	raw := p.Raw()
	return raw[:min(p.BodyStart-p.Start, int64(len(raw)))]
}

// write writes a part: nothing of a multipart beside its parts, and nothing of a leaf that is not
// text for reading.
func write(b *bytes.Buffer, p *mime.Part) {
	b.Write(head(p))
	switch boundary := p.Params["boundary"]; {
	case p.IsLeaf():
		if readable(p) {
			b.Write(p.Body())
		}
	case p.Encoding == "base64" || p.Encoding == "quoted-printable":
		// its parts stand inside an encoding, where they are not seen one by one
	case strings.HasPrefix(p.MediaType, "multipart/") && boundary != "":
		for _, c := range p.Children {
			if c.Alternate {
				continue
			}
			b.WriteString("\r\n--" + boundary + "\r\n")
			write(b, c)
		}
		b.WriteString("\r\n--" + boundary + "--\r\n")
	case strings.HasPrefix(p.MediaType, "message/"):
		for _, c := range p.Children {
			if !c.Alternate {
				write(b, c)
			}
		}
	}
}

// readable reports whether a leaf is text that people read where it stands: no file, read one way
// alone, and without what no text has.
func readable(p *mime.Part) bool {
	if p.MediaType != "text/plain" && p.MediaType != "text/html" || len(p.FileNames) > 0 || p.Disposition == "attachment" {
		return false
	}
	all := p.Encoded()
	return len(all) == 1 && !bytes.ContainsRune(all[0], 0)
}
