package mime

import (
	"bytes"
	"strings"

	"postern/internal/mime/decode"
	"postern/internal/mime/oddity"
	"postern/internal/mime/transfer"
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
		why := oddity.EncodingTwice
		if i == 0 {
			why = ""
		}
		name, exact := transfer.Name(f)
		if i == 0 {
			p.Encoding = strings.ToLower(strings.TrimSpace(f))
			if name != "" && name != transfer.Identity {
				p.Encoding = name
			}
		}
		switch {
		case name == "":
			w.t.note(oddity.EncodingUnknown, p.Path, f)
			add(transfer.Identity, why)
			add(transfer.Base64, oddity.EncodingUnknown)
			add(transfer.Quoted, oddity.EncodingUnknown)
		case !exact:
			w.t.note(oddity.EncodingUnknown, p.Path, f)
			add(name, why)
			add(transfer.Identity, oddity.EncodingUnknown)
		default:
			add(name, why)
		}
	}
	if len(fields) > 1 && len(out) > 1 {
		w.t.note(oddity.EncodingTwice, p.Path, fields[1])
	}
	if len(out) == 0 {
		out = []encoding{{name: transfer.Identity}}
	}
	return out
}

// undo decodes body in every reading of its encoding.
func (w *walk) undo(p *Part, body []byte, encs []encoding) []reading {
	var out []reading
	for i, e := range encs {
		got, damage := transfer.Undo(e.name, body)
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
		case e.why == oddity.EncodingTwice && transfer.Conflict(encs[0].name, e.name) && len(bytes.TrimSpace(body)) > 0:
			w.t.note(oddity.EncodingConflict, p.Path, e.name)
		}
	}
	return out
}

func brokenKind(name string) Kind {
	if name == transfer.Quoted {
		return oddity.QuotedBroken
	}
	return oddity.Base64Broken
}

func (w *walk) addReading(p *Part, list []reading, r reading) []reading {
	for _, old := range list {
		if bytes.Equal(old.data, r.data) {
			return list
		}
	}
	if len(list) > w.lim.Readings {
		w.t.note(oddity.TooManyReadings, p.Path, "")
		return list
	}
	return append(list, r)
}
