package letter

import (
	"mime"
	"net/http"
)

// preview lets nothing of a message do anything, nor load anything.
const preview = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'"

// Frame answers with the HTML of the message for a frame of its own, without links, scripts and
// pictures from elsewhere.
func (l *Letter) Frame(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", preview)
	h.Set("X-Frame-Options", "SAMEORIGIN")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("<!doctype html><meta charset=\"utf-8\"><title>.</title>\n" + l.Safe())) // the reader has gone: nobody to tell
}

// Inert makes an answer that goes to a reader's disk, never into the browser.
func Inert(w http.ResponseWriter, name string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
}

// Disk is the harmless name under which a part of the message id is taken home.
func (p Part) Disk(id string) string {
	name := id + "-" + p.Path
	if p.File != "" {
		name += "-" + p.File
	}
	return name + ".bin"
}
