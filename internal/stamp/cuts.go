package stamp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"postern/filter"
)

// Range is a half-open range of bytes.
type Range struct{ Start, End int64 }

// fieldMax is how much of one field is looked at.
const fieldMax = 64 << 10

// rawField is one field as it stands, with its continuation lines; raw is its first
// fieldMax bytes.
type rawField struct {
	Range
	raw []byte
}

// named reports whether the field has the name, whatever its case and the blanks before the
// colon.
func (f rawField) named(name string) bool {
	n, _, ok := bytes.Cut(f.raw, []byte(":"))
	return (ok || len(f.raw) == fieldMax) && len(n) >= len(name) && bytes.EqualFold(bytes.TrimRight(n, " \t\r\n"), []byte(name))
}

// value is what stands behind the colon, folded as it is.
func (f rawField) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return v
}

// eachField visits the fields up to the first empty line. Lines without a colon are visited
// like fields: a lenient reader goes on behind them, so what follows counts as header. visit
// returns false to stop. f.raw is valid during the visit only.
func eachField(r io.Reader, visit func(f rawField) bool) error {
	br := bufio.NewReaderSize(r, 8<<10)
	var f rawField
	pos := int64(0)
	for {
		start, first, fresh := pos, byte(0), true
		blank := false
		for { // one line, in pieces when it is long
			piece, err := br.ReadSlice('\n')
			if fresh && len(piece) > 0 {
				first = piece[0]
				blank = err == nil && len(bytes.TrimRight(piece, "\r\n")) == 0
				if (blank || first != ' ' && first != '\t') && f.End > f.Start {
					if !visit(f) {
						return nil
					}
					f = rawField{Range: Range{start, start}, raw: f.raw[:0]}
				}
			}
			if blank {
				return nil
			}
			fresh = false
			pos += int64(len(piece))
			f.End = pos
			f.raw = append(f.raw, piece[:min(len(piece), fieldMax-len(f.raw))]...)
			if err == nil {
				break
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if f.End > f.Start {
				visit(f)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("header: %w", err)
		}
	}
}

// Cuts finds what is removed from a message: every field with a name that we write, and
// inbound every Authentication-Results field under our own name (RFC 8601 section 5).
// orphan says that the first line begins with a blank and so would continue a field put
// before it.
func Cuts(body io.Reader, n Names, d filter.Direction) (cuts []Range, orphan bool, err error) {
	f, err := (&Stamper{Names: n}).look(body, d, nil)
	return f.cuts, f.orphan, err
}

// found is what one look at a header tells.
type found struct {
	cuts                  []Range
	orphan                bool
	date, messageID, dkim bool // a field of this name stands there
}

// look looks at the header of a body that goes out behind block.
func (s *Stamper) look(body io.Reader, d filter.Direction, block []byte) (found, error) {
	n := s.Names
	var h found
	ours := complaintFields(block)
	for _, name := range []string{n.Verdict, n.Reasons, n.Unchecked, n.Stripped, n.SpamFlag, n.SpamScore} {
		if name != "" {
			ours = append(ours, name)
		}
	}
	err := eachField(body, func(f rawField) bool {
		if f.Start == 0 && (f.raw[0] == ' ' || f.raw[0] == '\t') {
			h.orphan = true
			return true
		}
		h.date = h.date || f.named("Date")
		h.messageID = h.messageID || f.named("Message-ID")
		h.dkim = h.dkim || f.named("DKIM-Signature")
		forged := d == filter.Inbound && f.named("Authentication-Results") && speaksAs(f.value(), n.authservID()) || s.forgedTrace(f, d)
		for _, name := range ours {
			forged = forged || f.named(name)
		}
		if forged {
			h.cut(f.Range)
		}
		return true
	})
	return h, err
}

// cut joins ranges that touch.
func (h *found) cut(r Range) {
	if k := len(h.cuts) - 1; k >= 0 && h.cuts[k].End == r.Start {
		h.cuts[k].End = r.End
		return
	}
	h.cuts = append(h.cuts, r)
}
