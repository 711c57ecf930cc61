package page

import (
	"net/http"
	"strings"
)

// Bounds of the body of a request, in octets.
const (
	MaxForm   = 1 << 20
	MaxUpload = 21 << 20 // of a form with a file, to a path that ends in /upload
)

// room is how large the body of a request may be. Only who is signed in has a body read that
// goes to such a path.
func room(r *http.Request) int64 {
	if strings.HasSuffix(r.URL.Path, "/upload") && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return MaxUpload
	}
	return MaxForm
}

// policy lets a page load what we serve, and nothing else do anything.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

// Guard is what every answer of a listener with pages has, and what no request gets past:
// state is changed by requests from pages of this site alone.
func Guard(secure bool, next http.Handler) http.Handler { return guard(secure, room, next) }

// GuardUpTo is Guard for pages that take larger bodies: each has its own bound below limit.
func GuardUpTo(secure bool, limit int64, next http.Handler) http.Handler {
	return guard(secure, func(*http.Request) int64 { return limit }, next)
}

func guard(secure bool, room func(*http.Request) int64, next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	return cross.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		if secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		r.Body = http.MaxBytesReader(w, r.Body, room(r))
		next.ServeHTTP(w, r)
	}))
}
