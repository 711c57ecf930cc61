package param

import (
	"slices"
	"strconv"
	"strings"

	"postern/internal/mime/charset"
	"postern/internal/mime/header"
)

// segment is one piece of an RFC 2231 parameter.
type segment struct {
	name    string
	n       int
	encoded bool // value is percent-encoded, the first piece has a charset
	value   string
}

// extended cuts "name*", "name*N" and "name*N*".
func extended(name, value string) (base string, s segment, ok bool) {
	base, rest, ok := strings.Cut(name, "*")
	if !ok || base == "" {
		return name, s, false
	}
	s.value = value
	if rest == "" {
		s.encoded = true
		return base, s, true
	}
	num, star := strings.CutSuffix(rest, "*")
	n, err := strconv.Atoi(num)
	if err != nil || n < 0 || n > 9999 {
		return name, s, false
	}
	s.n, s.encoded = n, star
	return base, s, true
}

// assemble joins pieces in the order given.
func assemble(list []segment) string {
	var cs string
	var raw []byte
	for i, s := range list {
		v := s.value
		if !s.encoded {
			raw = append(raw, v...)
			continue
		}
		if i == 0 || cs == "" && strings.Count(v, "'") >= 2 {
			if name, rest, ok := strings.Cut(v, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					cs, v = name, text
				}
			}
		}
		raw = percent(raw, v)
	}
	b, _ := charset.UTF8(cs, raw)
	return string(b)
}

func percent(out []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(v))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// maxReadings bounds the readings of one parameter.
const maxReadings = 32

// Readings returns every value that a mail program may take for the parameter key from
// values of the same meaning (several fields of one name, or Content-Type beside
// Content-Disposition), likely ones first. all is false if there are more than were kept.
func Readings(values []Value, key string) (list []string, all bool) {
	var r readings
	odd := Odd(0)
	for _, v := range values {
		odd |= v.Odd
		if s, ok := v.Params[key]; ok {
			r.one(s)
		}
	}
	if odd == 0 {
		return r.list, !r.more
	}
	var segs []segment
	for _, v := range values {
		segs = append(segs, r.scan(v.raw, key)...)
		if strings.IndexByte(v.raw, '(') >= 0 {
			segs = append(segs, r.scan(withoutComments(v.raw), key)...)
		}
	}
	r.segments(segs)
	return r.list, !r.more
}

type readings struct {
	list []string
	more bool
}

// add takes a value and its decoded form.
func (r *readings) add(v string) {
	r.one(v)
	if strings.Contains(v, "=?") {
		r.one(header.Words(v))
	}
	if t := strings.Trim(v, `"' `); t != v {
		r.one(t)
	}
	if strings.ContainsAny(v, `"\`) {
		r.one(strings.NewReplacer(`"`, "", `\`, "").Replace(v))
	}
	if strings.IndexByte(v, '(') >= 0 {
		r.one(strings.TrimSpace(withoutComments(v)))
	}
}

func (r *readings) one(v string) {
	switch {
	case v == "" || slices.Contains(r.list, v):
	case len(r.list) >= maxReadings:
		r.more = true
	default:
		r.list = append(r.list, v)
	}
}

// scan finds "key=" wherever it stands, blind to quotes and separators, and adds every way
// the value may end. Pieces of RFC 2231 are returned.
func (r *readings) scan(raw, key string) (segs []segment) {
	low := lower(raw)
	for at, hits := 0, 0; ; hits++ {
		i := strings.Index(low[at:], key)
		if i < 0 {
			break
		}
		if hits >= maxParams {
			r.more = true
			break
		}
		at += i + len(key)
		if before := at - len(key) - 1; before >= 0 && isAlnum(low[before]) {
			continue
		}
		j := at
		for j < len(low) && (low[j] == '*' || low[j] >= '0' && low[j] <= '9') {
			j++
		}
		star := low[at:j]
		for j < len(low) && (low[j] == ' ' || low[j] == '\t') {
			j++
		}
		if j >= len(low) || low[j] != '=' {
			continue
		}
		ends := valueEnds(raw[j+1:])
		if star == "" {
			for _, v := range ends {
				r.add(v)
			}
			continue
		}
		if _, s, ok := extended(key+star, ends[0]); ok {
			segs = append(segs, s)
		}
	}
	return segs
}

// lower is strings.ToLower for ASCII alone, so that every byte keeps its place.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// valueEnds returns the values s may begin with: a quoted string with and without escapes,
// up to ";", up to a blank.
func valueEnds(s string) []string {
	s = strings.TrimLeft(s, " \t")
	var out []string
	semi, _, _ := strings.Cut(s, ";")
	semi = strings.TrimSpace(semi)
	if strings.HasPrefix(s, `"`) {
		p := parser{s: s}
		out = append(out, p.quoted())
		plain, _, _ := strings.Cut(s[1:], `"`)
		out = append(out, plain)
		if i := strings.LastIndexByte(semi, '"'); i > 0 {
			out = append(out, semi[1:i])
		}
	}
	out = append(out, semi)
	if i := strings.IndexAny(semi, " \t"); i > 0 {
		out = append(out, semi[:i])
	}
	if strings.Contains(s, ";") { // a separator that belongs to the value
		out = append(out, strings.TrimSpace(s[:min(len(s), 256)]))
	}
	return out
}

// segments adds the joined pieces: by number, as they stand, and each alone.
func (r *readings) segments(segs []segment) {
	if len(segs) == 0 {
		return
	}
	if len(segs) > maxParams {
		r.more = true
		segs = segs[:maxParams]
	}
	asStands := assemble(segs)
	slices.SortStableFunc(segs, func(a, b segment) int { return a.n - b.n })
	r.add(assemble(segs))
	r.add(asStands)
	for _, s := range segs {
		r.add(assemble([]segment{s}))
	}
}

// withoutComments removes comments, blind to quotes.
func withoutComments(s string) string {
	var sb strings.Builder
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth > 0 {
				depth--
				continue
			}
			sb.WriteByte(s[i])
		default:
			if depth == 0 {
				sb.WriteByte(s[i])
			}
		}
	}
	return sb.String()
}
