package browser

import (
	"context"
	"net/http"

	"postern/cmd/postern/access"
	"postern/cmd/postern/changes"
	"postern/internal/desk/live"
	"postern/internal/desk/session"
)

// topics are what open pages hear of, and who of it.
func topics() []live.Topic {
	return []live.Topic{
		{Name: "held", Call: "quarantine.list"},
		{Name: "cases", Call: "case.list"},
		{Name: "figures", Call: "figures.now"},
	}
}

// news is the stream of all open pages.
func news(p Parts, pages *access.Pages, sessions *session.Sessions) *live.Hub {
	return live.New(live.Options{
		Topics: topics(), May: pages.May, Log: p.Log,
		Look: func(ctx context.Context) (map[string]string, error) {
			var m changes.Marks
			err := p.Calls.Call(ctx, "changes", struct{}{}, &m)
			return m.Marks, err
		},
		Stands: func(r *http.Request) bool {
			s, err := sessions.Peek(r)
			if err != nil || s.Half {
				return false
			}
			_, _, err = pages.Resume(r.Context(), s.User, s.Epoch)
			return err == nil
		},
	})
}
