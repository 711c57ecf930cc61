package mime

import (
	"postern/internal/mime/filename"
	"postern/internal/mime/oddity"
	"postern/internal/mime/param"
)

// fileNames collects every reading of the names p carries: those of its fields, and raws.
func (w *walk) fileNames(p *Part, values []param.Value, raws ...string) {
	l := filename.List{Bytes: w.lim.Name, Limit: w.lim.Names}
	l.Values(values)
	for _, raw := range raws {
		if raw != "" {
			l.Add(raw)
		}
	}
	p.FileNames = l.Names
	for _, k := range oddity.OfNames(l.Odd) {
		w.t.note(k, p.Path, l.Names[0])
	}
}
