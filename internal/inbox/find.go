package inbox

import (
	"context"
	"io"
	"math"
	"strings"
	"time"

	"postern/internal/entity"
	"postern/internal/said"
)

// Query asks for messages, the newest first.
type Query struct {
	To      string    `json:"to,omitempty"`      // a recipient of the envelope
	Subject string    `json:"subject,omitempty"` // words that stand in the subject, in any case
	Since   time.Time `json:"since,omitzero"`    // kept then or later
	After   string    `json:"after,omitempty"`   // next of the page before
	Limit   int       `json:"limit,omitempty"`   // 50 unless told; at most 200
}

// Page is a part of an answer.
type Page struct {
	Messages []Message `json:"messages"`
	Next     string    `json:"next,omitempty"` // where to go on; "" = this was the last
}

// Validate says what cannot be asked.
func (q Query) Validate() error {
	switch {
	case q.Limit < 0 || q.Limit > MaxPage:
		return said.Errorf("inbox.limit-is-between-1-and", "%w: limit is between 1 and %d", "kind", ErrInvalid, "most", MaxPage)
	case len(q.To) > entity.MaxValue || len(q.Subject) > MaxText:
		return said.Errorf("inbox.to-has-at-most-octets-subject", "%w: to has at most %d octets, subject %d", "kind", ErrInvalid, "most", entity.MaxValue, "most2", MaxText)
	}
	return nil
}

// List returns a page.
func (b *Box) List(ctx context.Context, q Query) (Page, error) {
	out := Page{Messages: []Message{}}
	if err := q.Validate(); err != nil {
		return out, err
	}
	ask := entity.Query{Index: "all", After: q.After, From: since(q.Since)}
	if ask.From != 0 {
		ask.To = math.MaxInt64
	}
	if q.To != "" {
		ask.Index, ask.Value = "to", fold(q.To)
	}
	size, subject := q.Limit, strings.ToLower(q.Subject)
	if size == 0 {
		size = entity.DefaultPer
	}
	for {
		ask.Limit = size - len(out.Messages)
		rows, next, err := b.messages().Find(ctx, ask)
		if err != nil {
			return out, err
		}
		for _, row := range rows {
			if subject == "" || strings.Contains(strings.ToLower(row.Value.Subject), subject) {
				out.Messages = append(out.Messages, row.Value)
			}
		}
		out.Next, ask.After = next, next
		if next == "" || len(out.Messages) >= size {
			return out, nil
		}
	}
}

// look is how often a change is looked for while somebody waits.
const look = 200 * time.Millisecond

// Wait returns the newest message that q finds, at once or as soon as there is one. After the
// timeout there is none: false.
func (b *Box) Wait(ctx context.Context, q Query, timeout time.Duration) (Message, bool, error) {
	q.Limit, q.After = 1, ""
	if timeout <= 0 || timeout > MaxWait {
		return Message{}, false, said.Errorf("inbox.it-is-waited-for-at-most", "%w: it is waited for at most %s", "kind", ErrInvalid, "most", MaxWait)
	}
	select {
	case b.waiting <- struct{}{}:
		defer func() { <-b.waiting }()
	default:
		return Message{}, false, ErrBusy
	}
	over := time.NewTimer(timeout)
	defer over.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for seen, first := uint64(0), true; ; first = false {
		rev, err := b.Home.Revision(ctx, KindMessage)
		if err != nil {
			return Message{}, false, err
		}
		if first || rev != seen {
			seen = rev
			page, err := b.List(ctx, q)
			if err != nil || len(page.Messages) > 0 {
				return append(page.Messages, Message{})[0], err == nil, err
			}
		}
		select {
		case <-ctx.Done():
			return Message{}, false, ctx.Err()
		case <-over.C:
			return Message{}, false, nil
		case <-tick.C:
		}
	}
}

// Body reads the bytes of a message, at most limit of them.
func (b *Box) Body(ctx context.Context, m Message, limit int64) (body []byte, err error) {
	r, err := b.Home.Blob(ctx, entity.Inbox, m.SHA256)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was read
	return io.ReadAll(io.LimitReader(r, limit))
}
