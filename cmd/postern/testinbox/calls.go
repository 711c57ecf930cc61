package testinbox

import (
	"context"
	"errors"
	"time"

	"postern/internal/control"
	"postern/internal/entity"
	"postern/internal/inbox"
)

// ID names a message.
type ID struct {
	ID string `json:"id"`
}

// Raw is a message as it is kept.
type Raw struct {
	ID   string `json:"id"`
	Body []byte `json:"body"`
}

// Wait asks for a message that may still come.
type Wait struct {
	To      string    `json:"to,omitempty"`
	Subject string    `json:"subject,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Seconds int       `json:"seconds,omitempty"` // 30 unless told; at most 90
}

// Waited is what came.
type Waited struct {
	Found   bool        `json:"found"` // false: nothing came in time
	Message *inbox.Full `json:"message,omitempty"`
}

// Clear asks to forget messages.
type Clear struct {
	To       string `json:"to,omitempty"`       // those to this recipient; empty: all
	Counters bool   `json:"counters,omitempty"` // the counters begin at nothing as well
}

// Cleared says what was forgotten.
type Cleared struct {
	Messages int `json:"messages"`
}

// DefaultWait is how long it is waited for where nobody says.
const DefaultWait = 30

// rawMost bounds what is handed out as it is.
const rawMost = 64 << 20

// Handle adds the calls.
func (i *Inbox) Handle(s *control.Server) {
	control.Handle(s, "inbox.list", answer(i.List))
	control.Handle(s, "inbox.show", answer(func(ctx context.Context, q ID) (inbox.Full, error) { return i.Read(ctx, q.ID) }))
	control.Handle(s, "inbox.raw", answer(i.raw))
	control.Handle(s, "inbox.wait", answer(i.wait))
	control.Handle(s, "inbox.counts", answer(func(ctx context.Context, _ struct{}) (inbox.Counters, error) { return i.Counters(ctx) }))
	control.Handle(s, "inbox.delete", answer(func(ctx context.Context, q ID) (inbox.Message, error) { return i.Delete(ctx, q.ID) }))
	control.Handle(s, "inbox.clear", answer(i.clear))
}

// answer tells what is the caller's fault from what is not.
func answer[P, R any](f func(context.Context, P) (R, error)) func(context.Context, P) (R, error) {
	return func(ctx context.Context, p P) (R, error) {
		out, err := f(ctx, p)
		for of, kind := range map[error]control.Kind{
			entity.ErrNotFound: control.NotFound, entity.ErrInvalid: control.Invalid, inbox.ErrInvalid: control.Invalid, inbox.ErrBusy: control.Full,
		} {
			if errors.Is(err, of) {
				return out, control.Because(kind, err)
			}
		}
		return out, err
	}
}

func (i *Inbox) raw(ctx context.Context, q ID) (Raw, error) {
	m, err := i.Get(ctx, q.ID)
	if err != nil {
		return Raw{}, err
	}
	body, err := i.Body(ctx, m, rawMost)
	return Raw{ID: m.ID, Body: body}, err
}

func (i *Inbox) wait(ctx context.Context, w Wait) (Waited, error) {
	if w.Seconds == 0 {
		w.Seconds = DefaultWait
	}
	if most := int(inbox.MaxWait / time.Second); w.Seconds < 0 || w.Seconds > most {
		return Waited{}, control.Refuse(control.Invalid, "testinbox.seconds-is-between-1-and", "seconds is between 1 and %d", "most", most)
	}
	m, found, err := i.Wait(ctx, inbox.Query{To: w.To, Subject: w.Subject, Since: w.Since}, time.Duration(w.Seconds)*time.Second)
	if err != nil || !found {
		return Waited{}, err
	}
	full, err := i.Read(ctx, m.ID)
	if err != nil {
		return Waited{}, err
	}
	return Waited{Found: true, Message: &full}, nil
}

func (i *Inbox) clear(ctx context.Context, c Clear) (out Cleared, err error) {
	if out.Messages, err = i.Clear(ctx, c.To); err != nil || !c.Counters {
		return out, err
	}
	return out, i.Reset(ctx)
}
