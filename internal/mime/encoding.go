package mime

import (
	"bytes"
	"strings"

	"postern/internal/mime/decode"
	"postern/internal/mime/param"
)

// encoding is one reading of Content-Transfer-Encoding.
type encoding struct {
	name string
	why  Kind // why it is not the plain one; "" for that
}

// encodings reads all Content-Transfer-Encoding fields of a part.
func (w *walk) encodings(p *Part, fields []string) []encoding {
	var out []encoding
	add := func(name string, why Kind) {
		for _, e := range out {
			if e.name == name {
				return
			}
		}
		if len(out) == 0 {
			why = ""
		}
		out = append(out, encoding{name, why})
	}
	for i, f := range fields {
		why := EncodingTwice
		if i == 0 {
			why = ""
		}
		name, exact := encodingName(f)
		if i == 0 {
			p.Encoding = strings.ToLower(strings.TrimSpace(f))
			if name != "" {
				p.Encoding = name
			}
		}
		switch {
		case name == "":
			w.t.note(EncodingUnknown, p.Path, f)
			add("", why)
			add("base64", EncodingUnknown)
			add("quoted-printable", EncodingUnknown)
		case !exact:
			w.t.note(EncodingUnknown, p.Path, f)
			add(name, why)
			add("", EncodingUnknown)
		default:
			if name == "identity" {
				name = ""
			}
			add(name, why)
		}
	}
	if len(fields) > 1 && len(out) > 1 {
		w.t.note(EncodingTwice, p.Path, fields[1])
	}
	if len(out) == 0 {
		out = []encoding{{}}
	}
	return out
}

// encodingName recognises an encoding; exact is false if only a tolerant reader would.
// "identity" stands for 7bit, 8bit and binary.
func encodingName(value string) (name string, exact bool) {
	v := strings.ToLower(strings.TrimSpace(value))
	if n := knownEncoding(v); n != "" {
		return n, true
	}
	v = param.Parse(v).Main // comments and parameters gone
	v = strings.Trim(v, " \t\"';,.")
	if i := strings.IndexAny(v, " \t;,\""); i > 0 {
		v = v[:i]
	}
	v = strings.TrimRight(v, "\x00")
	n := knownEncoding(v)
	if n == "" && strings.HasPrefix(strings.ReplaceAll(v, "-", ""), "base64") {
		n = "base64"
	}
	return n, false
}

func knownEncoding(v string) string {
	switch v {
	case "", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none":
		return "identity"
	case "base64", "quoted-printable":
		return v
	case "x-uuencode", "uuencode", "x-uue", "uue":
		return "x-uuencode"
	}
	return ""
}

// undo decodes body in every reading of its encoding.
func (w *walk) undo(p *Part, body []byte, encs []encoding) []reading {
	var out []reading
	for i, e := range encs {
		got, damage := undoOne(e.name, body)
		for j, data := range got {
			why := e.why
			if j > 0 {
				why = brokenKind(e.name)
			}
			out = w.addReading(p, out, reading{why, data})
		}
		switch {
		case damage&(decode.Junk|decode.EarlyEnd) != 0 && i == 0:
			w.t.note(brokenKind(e.name), p.Path, "")
		case e.why == EncodingTwice && conflicting(encs[0].name, e.name) && len(bytes.TrimSpace(body)) > 0:
			w.t.note(EncodingConflict, p.Path, e.name)
		}
	}
	return out
}

// conflicting reports whether two encodings give a scanner different content rather than
// text that looks odd.
func conflicting(a, b string) bool {
	return a != b && (a == "base64" || b == "base64" || a == "x-uuencode" || b == "x-uuencode")
}

func brokenKind(name string) Kind {
	if name == "quoted-printable" {
		return QuotedBroken
	}
	return Base64Broken
}

func undoOne(name string, body []byte) ([][]byte, decode.Damage) {
	switch name {
	case "base64":
		return decode.Base64(body)
	case "quoted-printable":
		return decode.Quoted(body)
	case "x-uuencode":
		f, _ := decode.UU(body)
		return [][]byte{f.Data}, f.Damage
	}
	return [][]byte{body}, 0
}

func (w *walk) addReading(p *Part, list []reading, r reading) []reading {
	for _, old := range list {
		if bytes.Equal(old.data, r.data) {
			return list
		}
	}
	if len(list) > w.lim.Readings {
		w.t.note(AlternateReadings, p.Path, "")
		return list
	}
	return append(list, r)
}
