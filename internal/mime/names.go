package mime

import (
	"path"
	"slices"
	"strings"
	"unicode"

	"postern/internal/mime/charset"
	"postern/internal/mime/header"
	"postern/internal/mime/param"
)

// fileNames collects every reading of the names a part carries.
func (w *walk) fileNames(p *Part, values []param.Value) {
	if len(values) == 0 {
		return
	}
	var ext string
	for _, key := range []string{"filename", "name"} {
		for i, raw := range param.Readings(values, key) {
			w.addName(p, raw)
			if e := extension(raw); i == 0 && ext == "" {
				ext = e
			} else if i == 0 && e != ext {
				w.t.note(NameConflict, p.Path, raw)
			}
		}
	}
}

func extension(name string) string {
	return strings.ToLower(path.Ext(strings.Trim(header.Words(name), " .\"'")))
}

// addName adds a raw name and what programs make of it.
func (w *walk) addName(p *Part, raw string) {
	name := header.Words(raw)
	if len(name) > w.lim.Name {
		w.t.note(NameLong, p.Path, name)
		name = strings.ToValidUTF8(name[len(name)-w.lim.Name:], "")
	}
	if b, _ := charset.UTF8("", []byte(name)); string(b) != name {
		name = string(b)
	}
	add := func(n string) {
		if n != "" && len(p.FileNames) < w.lim.Names && !slices.Contains(p.FileNames, n) {
			p.FileNames = append(p.FileNames, n)
		}
	}
	add(name)
	plain := name
	if strings.IndexFunc(name, hidden) >= 0 {
		w.t.note(NameControl, p.Path, name)
		cut, _, _ := strings.Cut(name, "\x00")
		plain = strings.Map(func(r rune) rune {
			if hidden(r) {
				return -1
			}
			return r
		}, name)
		add(cut)
		add(plain)
	}
	if i := strings.LastIndexAny(plain, `/\:`); i >= 0 {
		if strings.Contains(plain, "..") || plain[0] == '/' || plain[0] == '\\' {
			w.t.note(NamePath, p.Path, name)
		}
		plain = plain[i+1:]
		add(plain)
	}
	add(strings.TrimRight(plain, ". \t\u00a0"))
}

// hidden reports runes that change what a name looks like without being seen: controls,
// direction marks, zero widths.
func hidden(r rune) bool {
	return r < ' ' || r == 0x7f || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Cc, r)
}
