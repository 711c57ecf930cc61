// Package filename collects what programs may make of the file names a part carries.
package filename

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"postern/internal/mime/charset"
	"postern/internal/mime/header"
	"postern/internal/mime/param"
)

// Odd is a set of things that are wrong with names.
type Odd uint8

// What can be wrong.
const (
	Conflict Odd = 1 << iota // names whose extensions differ
	Control                  // NUL, controls, direction marks, zero widths
	Path                     // a path that leads elsewhere
	Long                     // more bytes than the limit; the end is kept
	Many                     // more readings than the limit
)

// List collects readings of names. The zero value is not usable: set the limits.
type List struct {
	Names []string
	Odd   Odd
	Bytes int // of one name, of which the end is kept
	Limit int // of names
}

// Values adds the names that values of Content-Disposition and Content-Type carry.
func (l *List) Values(values []param.Value) {
	if len(values) == 0 {
		return
	}
	var ext string
	for _, key := range []string{"filename", "name"} {
		raws, all := param.Readings(values, key)
		if !all {
			l.Odd |= Many
		}
		for i, raw := range raws {
			l.Add(raw)
			if e := extension(raw); i == 0 && ext == "" {
				ext = e
			} else if i == 0 && e != ext {
				l.Odd |= Conflict
			}
		}
	}
}

func extension(name string) string {
	return strings.ToLower(path.Ext(strings.Trim(header.Words(name), " .\"'")))
}

// Add adds a raw name and what programs make of it: cut at NUL, without what cannot be seen,
// without its path, without trailing dots and blanks.
func (l *List) Add(raw string) {
	name := header.Words(raw)
	if len(name) > l.Bytes {
		l.Odd |= Long
		name = strings.ToValidUTF8(name[len(name)-l.Bytes:], "")
	}
	b, _ := charset.UTF8("", []byte(name))
	name = string(b)
	l.one(name)
	plain := name
	if strings.IndexFunc(name, hidden) >= 0 {
		l.Odd |= Control
		cut, _, _ := strings.Cut(name, "\x00")
		plain = strings.Map(func(r rune) rune {
			if hidden(r) {
				return -1
			}
			return r
		}, name)
		l.one(cut)
		l.one(plain)
	}
	if i := strings.LastIndexAny(plain, `/\:`); i >= 0 {
		if strings.Contains(plain, "..") || plain[0] == '/' || plain[0] == '\\' {
			l.Odd |= Path
		}
		plain = plain[i+1:]
		l.one(plain)
	}
	l.one(strings.TrimRight(plain, ". \t\u00a0"))
}

func (l *List) one(n string) {
	switch {
	case n == "" || slices.Contains(l.Names, n):
	case len(l.Names) >= l.Limit:
		l.Odd |= Many
	default:
		l.Names = append(l.Names, n)
	}
}

// hidden reports runes that change what a name looks like without being seen.
func hidden(r rune) bool {
	return r < ' ' || r == 0x7f || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r)
}
