package holdcalls

import (
	"context"
	"fmt"
	"io"
	"strings"

	"postern/cmd/postern/calls"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/internal/mime/textual"
	"postern/internal/people"
	"postern/internal/said"
	"postern/quarantine"
)

// MaxSeen is how much of a held message is looked at, in octets.
const MaxSeen = 4 << 20

// MaxNote bounds the reason for taking what a virus was found in, in octets.
const MaxNote = 500

// raw hands out the bytes of a hold. Those of one in which a virus was found go to who answers for
// others, with a written reason that the audit has.
func (p Parts) raw(ctx context.Context, ask calls.Piece) (calls.Raw, error) {
	if ask.Offset < 0 || ask.Limit < 0 {
		return calls.Raw{}, control.Refuse(control.Invalid, "hold.offset-and-limit-are-not-negative", "offset and limit are not negative")
	}
	h, err := p.Quarantine.Show(ctx, ask.ID)
	if err != nil {
		return calls.Raw{}, known(err)
	}
	if h.Infected() {
		if err := p.guarded(ctx, h, ask); err != nil {
			return calls.Raw{}, err
		}
	}
	if h.State.Ended() { // what is still open of it is not for reading any more
		return calls.Raw{}, known(said.Errorf("hold.no-body", "%w: %s has no body any more", "kind", quarantine.ErrNotFound, "id", h.ID))
	}
	body, err := p.open.read(ctx, p.Quarantine, ask, h.Size)
	return calls.Raw{Hold: h, Body: body, More: ask.Offset+int64(len(body)) < h.Size}, known(err)
}

// guarded refuses whoever may not take an infected message, and writes down who takes it.
func (p Parts) guarded(ctx context.Context, h quarantine.Hold, ask calls.Piece) error {
	if who, ok := people.From(ctx); ok && !who.Can(people.CasesApprove) {
		return control.Refuse(control.Conflict, "hold.a-virus-was-found-in-it-its", "a virus was found in it: its bytes are taken by a lead or a postmaster alone")
	}
	note := strings.TrimSpace(ask.Note)
	if note == "" || len(note) > MaxNote {
		return control.Refuse(control.Invalid, "hold.note-a-virus-was-found-in-it", "note: a virus was found in it, say in 1 to %d octets why its bytes are needed", "most", MaxNote)
	}
	part := "all of it"
	if ask.Offset > 0 || ask.Limit > 0 && ask.Limit < h.Size {
		part = fmt.Sprintf("from byte %d, %d of %d", ask.Offset, max(min(ask.Limit, h.Size-ask.Offset), 0), h.Size)
	}
	return p.Audit(ctx, control.Actor(ctx), "hold-raw", h.ID, nil, part, note)
}

// view gives what may be looked at of a hold.
func (p Parts) view(ctx context.Context, ask calls.ID) (calls.Seen, error) {
	h, err := p.Quarantine.Show(ctx, ask.ID)
	if err != nil {
		return calls.Seen{}, known(err)
	}
	r, err := p.Quarantine.Raw(ctx, ask.ID)
	if err != nil {
		return calls.Seen{}, known(err)
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, MaxSeen))
	if err != nil {
		return calls.Seen{}, known(err)
	}
	seen := calls.Seen{Hold: h, Body: body, More: int64(len(body)) < h.Size}
	if h.Infected() {
		limits := mime.DefaultLimits()
		seen.Body, seen.Texts = textual.Of(mime.Bytes(body, limits)), true
	}
	return seen, nil
}
