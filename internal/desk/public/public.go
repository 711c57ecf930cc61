// Package public is the listener for everybody: recipients of held mail, senders who were
// refused, people who complain. Nothing of the desk can be reached through it.
package public

import (
	"context"
	"embed"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/throttle"
)

//go:embed all:html
var Pages embed.FS // where the pages begin

// Bounds of what strangers may ask for.
const (
	MaxBody   = 6 << 20                // octets of a request; each page has its own bound below
	BurstOf   = 120                    // requests of a source at once, then one each
	EveryOf   = 500 * time.Millisecond //
	BurstAll  = 3000                   // requests of all at once, then one each
	EveryAll  = 5 * time.Millisecond   //
	Longest   = 30 * time.Second       // of the work on one request
	maxHops   = 16                     // addresses that are looked at of X-Forwarded-For
	wholeSite = "all"
)

// Room is a part of the public pages. Entrance is the path it begins with, for the first page,
// and the key of the words about it; "" where one comes in by a link alone.
type Room interface {
	Routes(handle func(pattern string, h http.HandlerFunc))
	Entrance() (path, key string)
}

// Options are what the listener is made of.
type Options struct {
	Kit     *page.Kit
	Rooms   []Room
	Secure  bool           // browsers reach it over TLS
	Proxies []netip.Prefix // whose X-Forwarded-For is believed
	Now     func() time.Time
}

type server struct {
	Options
	source *throttle.Throttle[netip.Prefix]
	all    *throttle.Throttle[string]
}

// New is the listener.
func New(o Options) http.Handler {
	s := &server{
		Options: o,
		source:  &throttle.Throttle[netip.Prefix]{Burst: BurstOf, Every: EveryOf, Sources: 50_000, Now: o.Now},
		all:     &throttle.Throttle[string]{Burst: BurstAll, Every: EveryAll, Sources: 2, Now: o.Now},
	}
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", o.Kit.Assets())
	mux.HandleFunc("GET /{$}", s.first)
	mux.HandleFunc("POST /taste", func(w http.ResponseWriter, r *http.Request) {
		o.Kit.Taste(w, r, o.Secure)
		o.Kit.Back(w, r, "/")
	})
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n")) // the reader has gone: nobody to tell
	})
	for _, room := range o.Rooms {
		room.Routes(func(pattern string, h http.HandlerFunc) { mux.HandleFunc(pattern, h) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { Nothing(o.Kit, w, r) })
	return behind(o.Proxies, page.GuardUpTo(o.Secure, MaxBody, s.bounded(mux)))
}

// Nothing is the answer to whatever is not there, and to whatever is not for who asks: nobody
// learns which of both it is.
func Nothing(kit *page.Kit, w http.ResponseWriter, r *http.Request) {
	kit.Fail(w, r, &page.Error{Status: http.StatusNotFound, Words: kit.Language(r).Say("public.nothing")})
}

// Source is whom a request counts for.
func Source(r *http.Request) netip.Prefix {
	return throttle.Source(Address(r))
}

// Address is where a request comes from.
func Address(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // a listener of ours gives no other
	return a.Addr().Unmap()
}

// Often says how long to wait.
func Often(kit *page.Kit, w http.ResponseWriter, r *http.Request, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	kit.Fail(w, r, &page.Error{Status: http.StatusTooManyRequests, Again: wait})
}

// bounded lets through what is not too often, in the language that the address names, and ends
// what takes too long.
func (s *server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from := Source(r)
		if wait := max(s.source.Wait(from), s.all.Wait(wholeSite)); wait > 0 {
			Often(s.Kit, w, r, wait)
			return
		}
		s.source.Note(from)
		s.all.Note(wholeSite)
		if l, ok := s.Kit.Words().Language(r.URL.Query().Get("lang")); ok {
			r.Header.Set("Accept-Language", l.Name) // of the letter that the reader comes from
		}
		ctx, cancel := context.WithTimeout(r.Context(), Longest)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

type entrance struct{ Path, Key string }

func (s *server) first(w http.ResponseWriter, r *http.Request) {
	var all []entrance
	for _, room := range s.Rooms {
		if path, key := room.Entrance(); path != "" {
			all = append(all, entrance{path, key})
		}
	}
	s.Kit.Show(w, r, "public", page.View{Title: s.Kit.Language(r).Say("public.title"), Body: all})
}

// behind puts the client in the place of a proxy that is known: the last address that no such
// proxy has.
func behind(proxies []netip.Prefix, next http.Handler) http.Handler {
	ours := func(a netip.Addr) bool {
		for _, p := range proxies {
			if p.Contains(a.Unmap()) {
				return true
			}
		}
		return false
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := Address(r)
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && len(hops)-i <= maxHops && ours(at); i-- {
			a, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			at = a.Unmap()
		}
		if len(proxies) > 0 && at.IsValid() {
			r.RemoteAddr = netip.AddrPortFrom(at, 1).String()
		}
		next.ServeHTTP(w, r)
	})
}
