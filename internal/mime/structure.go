package mime

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"postern/internal/mime/charset"
	"postern/internal/mime/decode"
	"postern/internal/mime/lines"
	"postern/internal/mime/oddity"
	"postern/internal/mime/param"
	"postern/internal/mime/tnef"
	"postern/internal/mime/transfer"
)

// structure finds the parts of p in every reading of its fields, or decodes it as a leaf.
func (w *walk) structure(p *Part, d described) {
	body := p.Body()
	plainMulti := strings.HasPrefix(p.MediaType, "multipart/")
	if d.multiparts {
		w.multipart(p, d, plainMulti)
	}
	switch {
	case w.stopped:
		p.readings = []reading{{data: body}}
		return
	case plainMulti && !p.IsLeaf():
		return
	}
	p.readings = w.undo(p, body, d.encodings)
	w.spend(len(body), p.Path)
	switch {
	case isMessage(p.MediaType):
		w.message(p)
	case p.MediaType == "message/partial":
		w.t.note(oddity.Partial, p.Path, "")
		w.fragment(p)
	case p.MediaType == "message/external-body":
		w.t.note(oddity.ExternalBody, p.Path, p.Params["access-type"])
		w.fragment(p)
	case strings.HasPrefix(p.MediaType, "text/"):
		w.text(p)
	}
	w.wrapped(p)
	for _, v := range d.types[min(1, len(d.types)):] {
		if isMessage(v.Main) && !isMessage(p.MediaType) {
			w.keepIf(w.alternate(spot{src: p.src, start: int(p.BodyStart), end: int(p.End), parent: p, fallback: "text/plain"}), oddity.TypeConflict)
		}
	}
}

func isMessage(mediaType string) bool {
	switch mediaType {
	case "message/rfc822", "message/global", "message/news", "message/rfc2822":
		return true
	}
	return false
}

// message reads a message inside a message.
func (w *walk) message(p *Part) {
	s := spot{src: p.src, start: int(p.BodyStart), end: int(p.End), parent: p, step: "1", fallback: "text/plain"}
	if data := p.Decoded(); !bytes.Equal(data, p.Body()) {
		s.src, s.start, s.end = data, 0, len(data)
		// Scanners that read the message themselves may not undo this encoding.
		p.readings = append(p.readings, reading{oddity.EncodedMultipart, data})
	} else {
		p.readings = p.readings[:1]
	}
	w.part(s)
}

// fragment reads what there is of a message that is not whole.
func (w *walk) fragment(p *Part) {
	w.alternate(spot{src: p.src, start: int(p.BodyStart), end: int(p.End), parent: p, fallback: "text/plain"})
}

// maxEmbedded bounds the files that one text carries.
const maxEmbedded = 100

// text looks for files that text carries, and at its charset.
func (w *walk) text(p *Part) {
	data := p.Decoded()
	if p.Charset != "" && !charset.Known(p.Charset) {
		w.t.note(oddity.CharsetUnknown, p.Path, p.Charset)
	}
	if p.Encoding != "base64" && bytes.IndexByte(data, 0) >= 0 {
		w.t.note(oddity.BodyNUL, p.Path, "")
	}
	if charset.IsUTF7(p.Charset) {
		w.t.note(oddity.CharsetUTF7, p.Path, "")
	}
	if text, shifts := charset.Recode(p.Charset, data); shifts {
		data = text
		p.readings = append(p.readings[:len(p.readings):len(p.readings)], reading{Recoded, data})
	}
	files := decode.Files(data, maxEmbedded+1)
	if len(files) > maxEmbedded {
		files = files[:maxEmbedded]
		w.t.note(oddity.TooManyReadings, p.Path, "files in text")
	}
	for _, f := range files {
		c := &Part{MediaType: "application/octet-stream", Encoding: f.Kind, readings: []reading{{oddity.EmbeddedFile, f.Data}}}
		if !w.carried(p, c, f.Name) {
			return
		}
		w.t.note(oddity.EmbeddedFile, c.Path, f.Kind)
	}
}

// carried keeps c, which has names and one reading, as a part that p carries in its content;
// false means that a limit forbids it.
func (w *walk) carried(p, c *Part, names ...string) bool {
	if len(w.t.Parts) >= w.lim.Parts {
		w.t.note(oddity.TooManyParts, p.Path, "")
		return false
	}
	c.Path = p.Path + ".a" + strconv.Itoa(len(p.Children)+1)
	c.Parent, c.Alternate = p, true
	c.src, c.End = c.readings[0].data, int64(len(c.readings[0].data))
	w.fileNames(c, nil, names...)
	p.Children = append(p.Children, c)
	w.t.Parts = append(w.t.Parts, c)
	return true
}

// wrapped takes the files and texts out of Outlook's own wrapping, whatever the part is called.
func (w *walk) wrapped(p *Part) {
	data := p.Decoded()
	if !tnef.Is(data) || !w.spend(len(data), p.Path) {
		return
	}
	content := tnef.Read(data, maxEmbedded)
	if content.Broken {
		w.t.note(oddity.TNEFBroken, p.Path, "")
	}
	if content.Many {
		w.t.note(oddity.TooManyReadings, p.Path, "files in a wrapping")
	}
	for _, f := range content.Files {
		c := &Part{MediaType: f.Type, Charset: f.Charset, Encoding: "tnef", readings: []reading{{oddity.TNEF, f.Data}}}
		if !w.carried(p, c, f.Names...) {
			return
		}
	}
	w.t.note(oddity.TNEF, p.Path, "")
}

// multipart splits p at every boundary its fields may name. Parts are plain if plain is
// set, and are another reading otherwise.
func (w *walk) multipart(p *Part, d described, plain bool) {
	body := p.Body()
	if !plain {
		defer func() {
			if !p.IsLeaf() || len(p.Children) > 0 {
				w.keepAny(p, oddity.TypeConflict)
			}
		}()
	}
	names := w.boundariesOf(p, d.types)
	found := 0
	for _, b := range names {
		if !w.spend(len(body), p.Path) {
			return
		}
		cuts, real := w.cuts(p, body, b)
		if !real {
			continue
		}
		if len(b) > 70 {
			w.t.note(oddity.BoundaryLong, p.Path, b)
		}
		if slices.Contains(w.boundaries, b) && found == 0 && !p.Alternate {
			w.t.note(oddity.BoundaryReused, p.Path, b)
		}
		w.boundaries = append(w.boundaries, b)
		if found++; found > 1 {
			w.t.note(oddity.TwoBoundaries, p.Path, b)
		}
		w.split(p, p.src, int(p.BodyStart), int(p.End), b, cuts, plain && found == 1)
	}
	if found == 0 && plain {
		w.guess(p, body, names)
	}
	w.encodedParts(p, d, names, found == 0)
}

// keepAny is keepIf over the children of p that only another reading shows.
func (w *walk) keepAny(p *Part, kind Kind) {
	for _, c := range p.Children {
		if c.Alternate && (c.holdsFile() || c.Encoding == "base64") {
			w.t.note(kind, c.Path, "")
			return
		}
	}
}

// boundariesOf returns every value the boundary may have, trailing blanks removed as RFC
// 2046 section 5.1.1 wants.
func (w *walk) boundariesOf(p *Part, types []param.Value) []string {
	var out []string
	raws, all := param.Readings(types, "boundary")
	for _, b := range raws {
		b = strings.TrimRight(b, " \t\r\n")
		for _, v := range []string{b, strings.TrimLeft(b, " \t")} {
			if v != "" && !slices.Contains(out, v) {
				out = append(out, v)
			}
		}
	}
	if !all {
		w.t.note(oddity.TooManyReadings, p.Path, "boundary")
	}
	return out
}

// guess splits p at lines that merely begin with its delimiter, or at those like the first
// line that looks like a delimiter.
func (w *walk) guess(p *Part, body []byte, names []string) {
	w.t.note(oddity.BoundaryMissing, p.Path, "")
	for _, b := range names {
		if !w.spend(len(body), p.Path) {
			return
		}
		cuts, _ := w.cuts(p, body, b)
		for i := range cuts {
			cuts[i].Loose = false
		}
		if len(cuts) > 0 {
			w.split(p, p.src, int(p.BodyStart), int(p.End), b, cuts, true)
			return
		}
	}
	for at := 0; ; {
		i := bytes.Index(body[at:], []byte("--"))
		if i < 0 || !w.spend(i, p.Path) {
			return
		}
		at += i
		l, next := lines.At(body, at)
		if lines.Begins(body, at) && len(l) >= 2 && lines.HasContentField(body[next:min(len(body), next+512)], true) {
			b := strings.TrimRight(string(l[2:]), " \t")
			if cuts, real := w.cuts(p, body, b); real {
				w.boundaries = append(w.boundaries, b)
				w.split(p, p.src, int(p.BodyStart), int(p.End), b, cuts, true)
			}
			return
		}
		at = next
	}
}

// encodedParts looks for parts under an encoding that no multipart may have. Mailers do
// write quoted-printable there and mean nothing by it: it counts only if the parts are
// hidden without it.
func (w *walk) encodedParts(p *Part, d described, names []string, hidden bool) {
	for _, e := range d.encodings {
		if e.name == transfer.Identity || e.name == transfer.Quoted && !hidden || !w.spend(2*len(p.Body()), p.Path) {
			continue
		}
		got, _ := transfer.Undo(e.name, p.Body())
		for _, data := range got {
			if bytes.Equal(data, p.Body()) {
				continue
			}
			for _, b := range names {
				if cuts, real := w.cuts(p, data, b); real {
					w.split(p, data, 0, len(data), b, cuts, false)
					w.t.note(oddity.EncodedMultipart, p.Path, e.name)
				}
			}
		}
	}
}
