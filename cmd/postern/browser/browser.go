// Package browser builds what is served over HTTP from the calls and the people: the API, and
// the desk in the browser.
package browser

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"postern/cmd/postern/access"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/desk/live"
	"postern/internal/desk/once"
	"postern/internal/desk/own"
	"postern/internal/desk/page"
	"postern/internal/desk/provider"
	"postern/internal/desk/session"
	"postern/internal/desk/site"
	"postern/internal/desk/words"
	"postern/internal/desk/work"
	"postern/internal/entity"
)

// Parts are what the desk is built from.
type Parts struct {
	Calls  *control.Server
	Door   *access.Access
	Config *config.Config
	Now    func() time.Time
	Log    *slog.Logger
	Audit  func(ctx context.Context, actor, action, object string, before, after any, note string) error
}

// Browser is the calls over HTTP, for programs and for pages.
type Browser struct {
	API, Desk http.Handler

	sessions *session.Sessions
	hub      *live.Hub
	keys     *once.Keys
	provider *provider.Provider // nil: none
	site     *site.Site
	log      *slog.Logger
}

// New builds it.
func New(p Parts) (*Browser, error) {
	d := p.Config.Desk
	b := &Browser{sessions: p.Door.Sessions, keys: p.Door.Keys, log: p.Log}
	calls := *p.Door
	calls.Calls = p.Calls
	pages := calls.Pages()
	book, err := words.Open()
	if err != nil {
		return nil, err
	}
	spoken := page.Spoken(pages, book)
	kit, err := page.New(page.Options{Words: book, Calls: spoken, Menu: menu(), Now: p.Now, Log: p.Log}, papers()...)
	if err != nil {
		return nil, err
	}
	b.hub = news(p, pages, b.sessions)
	long := &work.Room{Kit: kit, Desk: &work.Desk{Now: p.Now, Log: p.Log}}
	o := site.Options{
		Kit: kit, People: pages, Sessions: b.sessions, Secure: d.Secure(), Proxies: d.Behind(), Now: p.Now, Log: p.Log, Audit: p.Audit,
		Rooms: append(rooms(kit, spoken, long), b.hub, &own.Room{Kit: kit, Account: pages, Sessions: b.sessions, Secure: d.Secure()}),
		Home: func(ctx context.Context) string {
			for _, i := range menu() {
				if pages.May(ctx, i.Call) {
					return i.Path
				}
			}
			return "/me"
		},
	}
	if b.provider, err = elsewhere(p); err != nil {
		return nil, err
	}
	if b.provider != nil {
		o.Provider = b.provider
	}
	b.site = site.New(o)
	b.Desk = b.site
	b.API, err = calls.Handler()
	return b, err
}

// Run tells open pages of news, looks for the OpenID provider, and forgets sessions and keys of
// requests that are over once an hour, until ctx ends.
func (b *Browser) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = b.hub.Run(ctx) }) // it ends with ctx alone
	if b.provider != nil {
		wg.Go(func() { _ = b.provider.Run(ctx) }) // so does this, or once it is found
	}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		b.prune(ctx, "sessions that are over", b.sessions.Prune)
		b.prune(ctx, "keys of requests", b.keys.Prune)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (b *Browser) prune(ctx context.Context, what string, some func(context.Context, int) (int, error)) {
	for n := entity.MaxPage; n == entity.MaxPage; {
		var err error
		if n, err = some(ctx, entity.MaxPage); err != nil && ctx.Err() == nil {
			b.log.Error(what, "err", err)
		}
	}
}
