package recipients

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"postern/internal/control"
	"postern/internal/desk/links"
	"postern/internal/desk/mine"
	"postern/internal/entity"
	"postern/quarantine"
)

// asksWaiting bounds the sign-ins whose letters are not written yet.
const asksWaiting = 100

// ask is somebody who wants a link.
type ask struct{ address, language string }

// Ask has a link sent to an address that has held mail. It returns at once: how long it takes
// would tell whether there is such an address.
func (d *Desk) Ask(addr, language string) {
	select {
	case d.asks <- ask{Canonical(addr), language}:
	default: // more than anybody honest asks for
	}
}

// Answer sends the links that were asked for, until ctx ends.
func (d *Desk) Answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-d.asks:
			if err := d.answer(ctx, a); err != nil && ctx.Err() == nil {
				d.Log.Error("a link to held mail could not be sent", "err", err)
			}
		}
	}
}

func (d *Desk) answer(ctx context.Context, a ask) error {
	if !d.hosted(a.address) {
		return nil
	}
	some := false
	if err := d.held(ctx, a.address, time.Time{}, "", func(quarantine.Hold, string) bool { some = true; return false }); err != nil {
		return err
	}
	r, err := d.reader(ctx, a.address)
	if err != nil || !some && r.Last == nil {
		return err
	}
	now, once := d.Now().UTC(), rand.Text()
	text, err := d.Enters.Seal(links.Link{For: a.address, Act: mine.Enter, Expires: now.Add(mine.EnterLife), Once: once})
	if err != nil {
		return err
	}
	l := d.letter(a.address, a.language, once, now)
	message, err := l.Enter(d.page("/mail/in/"+text, l.Language.Name))
	if err != nil {
		return err
	}
	return d.Submit.Enter(ctx, a.address, message)
}

// Letters is a page of recipients.
type Letters struct {
	Readers []Reader `json:"readers"`
	Next    string   `json:"next,omitempty"`
}

// Wrote is a letter.
type Wrote struct {
	Address string    `json:"address"`
	Holds   int       `json:"holds"`
	Due     time.Time `json:"due,omitzero"`
	Message []byte    `json:"message,omitempty"`
	Entry   string    `json:"entry,omitempty"`
}

func (d *Desk) letters(ctx context.Context, of mine.Of) (Letters, error) {
	out := Letters{Readers: []Reader{}}
	if of.Address != "" {
		r, err := d.reader(ctx, of.Address)
		out.Readers = append(out.Readers, r)
		return out, err
	}
	rows, more, err := d.readers.Find(ctx, entity.Query{Index: "all", Limit: of.Limit, After: of.After})
	for _, row := range rows {
		out.Readers = append(out.Readers, row.Value)
	}
	out.Next = more
	return out, err
}

// preview writes the letter that would go out now; the links in it do nothing.
func (d *Desk) preview(ctx context.Context, of mine.Of) (Wrote, error) {
	r, s, err := d.now(ctx, of.Address)
	if err != nil || s == nil {
		return Wrote{Address: r.Address, Due: r.Due}, err
	}
	plain := *d
	plain.Digests = &links.Sealer{Keys: d.Keys, Purpose: "preview", Now: d.Now}
	message, err := plain.compose(ctx, &r, s)
	return Wrote{Address: r.Address, Holds: len(s.Holds) + s.More, Due: r.Due, Message: message}, err
}

// now is what a letter of this moment would tell.
func (d *Desk) now(ctx context.Context, addr string) (Reader, *Sending, error) {
	if !d.hosted(addr) {
		return Reader{}, nil, control.Refuse(control.NotFound, "recipients.no-mail-for-stays-here", "no mail for %s stays here", "address", addr)
	}
	if d.Config.Load().Public.At("/") == "" {
		return Reader{}, nil, control.Refuse(control.Conflict, "recipients.public-addr-and-public-url-are-not", "public.addr and public.url are not set: letters could link to nothing")
	}
	r, err := d.reader(ctx, addr)
	if err != nil {
		return r, nil, err
	}
	at := r
	at.Due = d.Now().UTC().Truncate(time.Second)
	s, err := d.gather(ctx, &at)
	return r, s, err
}

// sendNow sends the letter of a recipient before its hour.
func (d *Desk) sendNow(ctx context.Context, of mine.Of) (Wrote, error) {
	r, s, err := d.now(ctx, of.Address)
	if err != nil {
		return Wrote{}, err
	}
	if s == nil {
		return Wrote{}, control.Refuse(control.Conflict, "recipients.nothing-new-is-held-for-or-the", "nothing new is held for %s, or the letters are off", "address", r.Address)
	}
	at := d.Now().UTC().Truncate(time.Second)
	if err := d.change(ctx, r.Address, func(now *Reader) error { now.Due = at; return nil }); err != nil {
		return Wrote{}, err
	}
	if r, err = d.reader(ctx, r.Address); err == nil {
		err = d.send(ctx, r)
	}
	if err != nil {
		return Wrote{}, err
	}
	after, err := d.reader(ctx, r.Address)
	if err == nil && after.Last == nil {
		err = errors.New("another node is sending it")
	}
	if err != nil {
		return Wrote{}, err
	}
	out := Wrote{Address: r.Address, Holds: after.Last.Holds, Entry: after.Last.Entry}
	return out, d.Audit(ctx, control.Actor(ctx), "digest-send", r.Address, nil, nil, out.Entry)
}
