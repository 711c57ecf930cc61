// Package live tells open pages that something has changed, and nothing of what it is: pages
// then ask for their own part again, within what their reader may see.
package live

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"sync"
	"time"

	"postern/internal/desk/page"
)

// Bounds of the streams.
const (
	MaxStreams = 500              // open at once
	MaxOf      = 12               // of one user: a stream serves all pages of a browser
	Every      = 2 * time.Second  // how often is looked, while there is a stream
	KeepAlive  = 15 * time.Second // a line now and then, so that nothing between takes it for dead
	writeTime  = 10 * time.Second // a reader who does not take a line in this time is gone
)

// Topic is a sort of news.
type Topic struct {
	Name string // "held": pages say it as data-live="held"
	Call string // whoever may make it hears of it
}

// Options are what a Hub is made of. All of them must be set.
type Options struct {
	Topics []Topic
	// Look returns a mark for each topic: another one than before means that there is news.
	Look func(ctx context.Context) (map[string]string, error)
	// May reports whether the reader may make a call.
	May func(ctx context.Context, call string) bool
	// Stands reports whether the session of a stream goes on. It must not count as use.
	Stands func(r *http.Request) bool
	Log    *slog.Logger
}

// Hub is the streams of one node. Several nodes need not know of each other: each looks at
// what they share.
type Hub struct {
	o    Options
	wake chan struct{}

	mu      sync.Mutex
	streams map[*stream]struct{}
	of      map[string]int
	marks   map[string]string
}

type stream struct {
	user string
	news chan struct{} // holds one: what is new is read when it is sent
}

// New returns a hub without streams.
func New(o Options) *Hub {
	return &Hub{o: o, wake: make(chan struct{}, 1), streams: map[*stream]struct{}{}, of: map[string]int{}, marks: map[string]string{}}
}

// Routes adds the stream; the Hub is a room of the desk.
func (h *Hub) Routes(handle func(pattern string, f http.HandlerFunc)) {
	handle("GET /live", h.serve)
}

// Run looks for news while anybody listens, until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		case <-tick.C:
		}
		if !h.heard() {
			continue
		}
		err := h.look(ctx)
		if err != nil && !failing && !errors.Is(err, context.Canceled) {
			h.o.Log.Error("open pages hear no news", "error", err)
		}
		failing = err != nil
	}
}

func (h *Hub) heard() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams) > 0
}

func (h *Hub) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	marks, err := h.o.Look(ctx)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if maps.Equal(marks, h.marks) {
		return nil
	}
	h.marks = marks
	for s := range h.streams {
		select {
		case s.news <- struct{}{}:
		default:
		}
	}
	return nil
}

// open adds a stream of a user; nil: there are too many.
func (h *Hub) open(user string) *stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.streams) >= MaxStreams || h.of[user] >= MaxOf {
		return nil
	}
	s := &stream{user: user, news: make(chan struct{}, 1)}
	h.streams[s] = struct{}{}
	h.of[user]++
	if len(h.marks) > 0 {
		s.news <- struct{}{} // where this node stands: who comes back sees what was missed
	}
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return s
}

func (h *Hub) close(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.streams, s)
	if h.of[s.user]--; h.of[s.user] <= 0 {
		delete(h.of, s.user)
	}
}

// Open counts the streams.
func (h *Hub) Open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// marksFor are the marks of what the reader may hear of.
func (h *Hub) marksFor(ctx context.Context) map[string]string {
	h.mu.Lock()
	marks := h.marks
	h.mu.Unlock()
	out := map[string]string{}
	for _, t := range h.o.Topics {
		if mark, ok := marks[t.Name]; ok && h.o.May(ctx, t.Call) {
			out[t.Name] = mark
		}
	}
	return out
}

// own reports whether a page of this site asks. Browsers say so themselves; what is no browser
// has no session to lend.
func own(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	from := r.Header.Get("Origin")
	return from == "" || from == "http://"+r.Host || from == "https://"+r.Host
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	user := page.Of(r.Context()).User
	if user == nil || !own(r) {
		http.Error(w, http.StatusText(http.StatusForbidden), http.StatusForbidden)
		return
	}
	s := h.open(user.Name)
	if s == nil {
		w.WriteHeader(http.StatusNoContent) // a browser that is told so does not come again
		return
	}
	defer h.close(s)
	out := &lines{w: w, to: http.NewResponseController(w)}
	if err := out.begin(); err != nil {
		return
	}
	keep := time.NewTicker(KeepAlive)
	defer keep.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			return
		case <-s.news:
			err = out.marks(h.marksFor(r.Context()))
		case <-keep.C:
			if !h.o.Stands(r) {
				_ = out.write("event: over\ndata: {}\n\n") // it is over in any case
				return
			}
			err = out.write(": here\n\n")
		}
		if err != nil {
			return
		}
	}
}
