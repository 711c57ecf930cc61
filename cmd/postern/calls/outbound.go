package calls

import (
	"context"
	"errors"
	"time"

	"postern/abuse/proof/token"
	"postern/cmd/postern/outbound"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/record"
)

// Outbound are the calls about the trace of outbound mail.
type Outbound struct {
	Desk   *outbound.Desk
	Config func() *config.Config
	Audit  *record.Auditor
	Now    func() time.Time
}

// TraceToken asks what a trace token says.
type TraceToken struct {
	Token string `json:"token"`
}

// TraceKeys are the keys of trace tokens; nothing of them is secret.
type TraceKeys struct {
	File    string      `json:"file"`
	Keys    []token.Key `json:"keys"`
	Sealing string      `json:"sealing"` // ID of the one in use
}

// TraceRotate asks for another key.
type TraceRotate struct {
	After time.Duration `json:"after,omitempty"` // when it begins to seal, from now on
	Note  string        `json:"note,omitempty"`
}

// Handle adds the calls.
func (o Outbound) Handle(s *control.Server) {
	control.Handle(s, "trace.token", func(ctx context.Context, p TraceToken) (outbound.Token, error) {
		t, err := o.Desk.Tell(ctx, p.Token)
		if errors.Is(err, token.ErrNotOurs) || errors.Is(err, token.ErrUnknownKey) {
			return t, control.Because(control.NotFound, err)
		}
		return t, err
	})
	control.Handle(s, "trace.keys", func(context.Context, struct{}) (TraceKeys, error) { return o.keys(), nil })
	control.Handle(s, "trace.rotate", func(ctx context.Context, p TraceRotate) (TraceKeys, error) {
		if p.After < 0 {
			return TraceKeys{}, control.Refuse(control.Invalid, "trace.key-past", "a key cannot begin in the past")
		}
		k, err := token.Rotate(o.Config().TraceKeys(), o.Now(), o.Now().Add(p.After))
		if err != nil {
			return TraceKeys{}, err
		}
		o.Desk.Reload()
		return o.keys(), o.Audit.Write(ctx, control.Actor(ctx), "trace-key-rotate", "trace key "+k.ID, nil, k, p.Note)
	})
}

func (o Outbound) keys() TraceKeys {
	all, sealing := o.Desk.Ring().Keys()
	return TraceKeys{File: o.Config().TraceKeys(), Keys: all, Sealing: sealing}
}
