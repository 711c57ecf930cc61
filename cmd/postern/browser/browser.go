// Package browser builds what is served over HTTP from the calls and the people: the API, and
// the desk in the browser.
package browser

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"postern/cmd/postern/access"
	"postern/internal/control"
	"postern/internal/desk/held"
	"postern/internal/desk/page"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
	"postern/internal/entity"
	"postern/internal/people"
)

// Parts are what the desk is built from.
type Parts struct {
	Calls    *control.Server
	People   *people.Directory
	Entities entity.Store
	Secure   bool // browsers reach it over TLS
	Now      func() time.Time
	Log      *slog.Logger
	Audit    func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Browser is the calls over HTTP, for programs and for pages.
type Browser struct {
	API, Desk http.Handler

	sessions *session.Sessions
	log      *slog.Logger
}

// menu is the parts of the desk; the first that somebody may see is where they begin.
func menu() []page.Item {
	return []page.Item{{Key: "held", Path: "/held", Call: "quarantine.list"}}
}

// New builds it.
func New(p Parts) (*Browser, error) {
	calls := &access.Access{Calls: p.Calls, People: p.People, Now: p.Now, Log: p.Log}
	pages := calls.Pages()
	book, err := words.Open()
	if err != nil {
		return nil, err
	}
	kit, err := page.New(page.Options{Words: book, Calls: pages, Menu: menu(), Now: p.Now, Log: p.Log}, site.Pages, held.Pages)
	if err != nil {
		return nil, err
	}
	sessions := session.New(p.Entities, p.Now, p.Secure)
	h := site.New(site.Options{
		Kit: kit, People: pages, Sessions: sessions, Secure: p.Secure, Now: p.Now, Log: p.Log, Audit: p.Audit,
		Rooms: []site.Room{&held.Room{Kit: kit, Calls: pages}},
		Home: func(ctx context.Context) string {
			for _, i := range menu() {
				if pages.May(ctx, i.Call) {
					return i.Path
				}
			}
			return "/nothing"
		},
	})
	return &Browser{API: calls.Handler(), Desk: h, sessions: sessions, log: p.Log}, nil
}

// Run forgets sessions that are over, once an hour until ctx ends.
func (b *Browser) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		for n := entity.MaxPage; n == entity.MaxPage; {
			var err error
			if n, err = b.sessions.Prune(ctx, entity.MaxPage); err != nil && ctx.Err() == nil {
				b.log.Error("sessions that are over", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
