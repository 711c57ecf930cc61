package recipients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"postern/blocklist"
	"postern/internal/address"
	"postern/internal/control"
	"postern/internal/desk/mine"
	"postern/internal/entity"
	"postern/internal/mime"
	"postern/quarantine"
)

// Bounds of what is shown.
const (
	maxText  = 20 << 10 // octets of the text of a message
	maxFiles = 50
	maxHeld  = 64 << 20
)

// Did is what became of a message.
type Did struct {
	ID    string `json:"id"`
	State string `json:"state"` // released, releasing, refused, deleted, disowned
}

// Handle adds the calls.
func (d *Desk) Handle(s *control.Server) {
	control.Handle(s, "recipient.list", d.list)
	control.Handle(s, "recipient.show", d.show)
	control.Handle(s, "recipient.release", d.release)
	control.Handle(s, "recipient.allow", d.allow)
	control.Handle(s, "recipient.delete", d.remove)
	control.Handle(s, "recipient.disown", d.disown)
	control.Handle(s, "recipient.settings", func(ctx context.Context, of mine.Of) (mine.Settings, error) { return d.Settings(ctx, of.Address) })
	control.Handle(s, "recipient.set", d.set)
	control.Handle(s, "digest.list", d.letters)
	control.Handle(s, "digest.preview", d.preview)
	control.Handle(s, "digest.send", d.sendNow)
}

func (d *Desk) list(ctx context.Context, of mine.Of) (mine.List, error) {
	out, last := mine.List{Holds: []mine.Held{}}, ""
	limit := of.Limit
	if limit <= 0 || limit > quarantine.DefaultPage {
		limit = quarantine.DefaultPage
	}
	q := quarantine.Query{To: Canonical(of.Address), Class: quarantine.ByVerdict, Limit: limit, After: of.After}
	not, err := d.notTheirs(ctx, of.Address)
	if err != nil {
		return out, err
	}
	for range heldPages {
		page, err := d.Quarantine.List(ctx, q)
		if err != nil {
			return out, err
		}
		for _, h := range page.Holds {
			if theirs(&h, of.Address) && !slices.Contains(not, h.ID) {
				out.Holds = append(out.Holds, seen(&h))
			}
		}
		last = page.Next
		if q.After = page.Next; page.Next == "" || len(out.Holds) > 0 {
			break
		}
	}
	out.Next = last
	return out, nil
}

// seen is a message as its recipient sees it.
func seen(h *quarantine.Hold) mine.Held {
	return mine.Held{ID: h.ID, From: h.From, Subject: h.Subject, At: h.At, Expires: h.Expires, Reason: reason(h), Size: h.Size, State: string(h.State), Unsafe: h.Unsafe()}
}

func (d *Desk) tree(ctx context.Context, id string) (*mime.Tree, error) {
	r, err := d.Quarantine.Raw(ctx, id)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxHeld))
	if err != nil {
		return nil, err
	}
	limits := mime.DefaultLimits()
	limits.Text = 4 * maxText
	return mime.Bytes(raw, limits), nil
}

func (d *Desk) show(ctx context.Context, of mine.Of) (mine.Message, error) {
	h, err := d.hold(ctx, of)
	if err != nil {
		return mine.Message{}, err
	}
	m := mine.Message{Held: seen(&h)}
	t, err := d.tree(ctx, h.ID)
	if err != nil {
		return m, err
	}
	text := t.Text()
	m.Cut = len(text) > maxText
	m.Text = visible(text[:min(len(text), maxText)])
	for _, name := range t.FileNames() {
		if len(m.Files) == maxFiles {
			break
		}
		m.Files = append(m.Files, visible(name[:min(len(name), 200)]))
	}
	return m, nil
}

// visible shows control and direction characters instead of obeying them.
func visible(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return c
		case c == '\r':
			return -1
		case c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0, c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 || c == 0x200e || c == 0x200f:
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func (d *Desk) release(ctx context.Context, of mine.Of) (Did, error) {
	h, err := d.hold(ctx, of)
	if err != nil {
		return Did{}, err
	}
	if h.Unsafe() {
		return Did{}, control.Refuse(control.Conflict, "recipients.was-held-as-malware-its-recipient-alone", "%s was held as malware: its recipient alone does not release it", "id", h.ID)
	}
	h, err = d.Quarantine.Release(ctx, h.ID, control.Actor(ctx))
	return Did{h.ID, string(h.State)}, known(err)
}

// known turns what the quarantine says into refusals.
func known(err error) error {
	switch {
	case errors.Is(err, quarantine.ErrNotFound):
		return control.Because(control.NotFound, quarantine.ErrNotFound)
	case errors.Is(err, quarantine.ErrConflict), errors.Is(err, quarantine.ErrEnded), errors.Is(err, quarantine.ErrBusy), errors.Is(err, quarantine.ErrNotReleasable):
		return control.Because(control.Conflict, err)
	}
	return err
}

// allow lets the author through from now on, where that one is proved and for this recipient
// alone, and releases the message.
func (d *Desk) allow(ctx context.Context, of mine.Of) (Did, error) {
	h, err := d.hold(ctx, of)
	if err != nil {
		return Did{}, err
	}
	if h.Unsafe() {
		return Did{}, control.Refuse(control.Conflict, "recipients.was-held-as-malware-its-recipient-alone", "%s was held as malware: its recipient alone does not release it", "id", h.ID)
	}
	t, err := d.tree(ctx, h.ID)
	if err != nil {
		return Did{}, err
	}
	sender := h.From
	if from := t.From(); len(from) == 1 {
		sender = from[0].Address
	}
	if a, err := address.Parse(sender, true); err == nil && a.Domain != "" {
		actor := control.Actor(ctx)
		e, err := d.Own.Add(ctx, blocklist.Entry{
			Allow: true, Value: sender, Scope: "recipient:" + Canonical(of.Address), Reason: "the recipient wants mail of this sender", Author: actor, Created: d.Now().UTC(),
		})
		switch {
		case errors.Is(err, blocklist.ErrEntry):
			return Did{}, control.Because(control.Conflict, err)
		case err != nil:
			return Did{}, err
		}
		if err := d.Audit(ctx, actor, "list-add", e.Key(), nil, e, e.Reason); err != nil {
			return Did{}, err
		}
	}
	return d.release(ctx, of)
}

func (d *Desk) remove(ctx context.Context, of mine.Of) (Did, error) {
	h, err := d.hold(ctx, of)
	if err != nil {
		return Did{}, err
	}
	h, err = d.Quarantine.Delete(ctx, h.ID, control.Actor(ctx), "its recipient does not want it")
	return Did{h.ID, string(h.State)}, known(err)
}

// disown takes a message from the list of its recipient. It stays for the postmaster.
func (d *Desk) disown(ctx context.Context, of mine.Of) (Did, error) {
	h, err := d.hold(ctx, of)
	if err != nil {
		return Did{}, err
	}
	_, err = d.disowned.Create(ctx, disowned{Hold: h.ID, Address: Canonical(of.Address), At: d.Now().UTC(), Expires: h.Expires})
	if err != nil && !errors.Is(err, entity.ErrExists) {
		return Did{}, err
	}
	return Did{h.ID, "disowned"}, d.Audit(ctx, control.Actor(ctx), "disown", h.ID, nil, nil, "its recipient says that it is not theirs")
}

// Settings are what a recipient wants, with what counts where nothing was said.
func (d *Desk) Settings(ctx context.Context, addr string) (mine.Settings, error) {
	r, err := d.reader(ctx, addr)
	if err != nil {
		return mine.Settings{}, err
	}
	c := d.Config.Load().Digests
	s := mine.Settings{Address: r.Address, Language: r.Language, Zone: r.Zone, Hours: r.Hours, Off: r.Off}
	if s.Language == "" {
		s.Language = c.Language
	}
	if s.Zone == "" {
		s.Zone = c.Zone
	}
	if len(s.Hours) == 0 {
		s.Hours = []int{c.Hour}
	}
	return s, nil
}

func (d *Desk) set(ctx context.Context, s mine.Settings) (mine.Settings, error) {
	if _, ok := d.book.Language(s.Language); !ok {
		return s, control.Refuse(control.Invalid, "recipients.language-one-of", "language %q: one of %v", "language", s.Language, "languages", d.book.Languages())
	}
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "" || s.Zone == "Local" || len(s.Zone) > 64 {
		return s, control.Refuse(control.Invalid, "recipients.zone-no-time-zone-such-as-europe", "zone %q: no time zone such as Europe/Athens", "zone", s.Zone)
	}
	slices.Sort(s.Hours)
	s.Hours = slices.Compact(s.Hours)
	for _, h := range s.Hours {
		if h < 0 || h > 23 {
			return s, control.Refuse(control.Invalid, "recipients.hour-0-to-23", "hour %d: 0 to 23", "h", h)
		}
	}
	if !d.hosted(s.Address) {
		return s, control.Refuse(control.NotFound, "recipients.no-mail-for-stays-here", "no mail for %s stays here", "address", s.Address)
	}
	var before mine.Settings
	err := d.change(ctx, s.Address, func(r *Reader) error {
		before = mine.Settings{Address: r.Address, Language: r.Language, Zone: r.Zone, Hours: r.Hours, Off: r.Off}
		r.Language, r.Zone, r.Off = s.Language, s.Zone, s.Off
		if len(s.Hours) > 0 {
			r.Hours = s.Hours
		}
		if !r.Due.IsZero() && r.Sending == nil {
			r.Due = d.due(r, r.Hours)
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	if err := d.Audit(ctx, control.Actor(ctx), "digest-settings", Canonical(s.Address), before, s, ""); err != nil {
		return s, fmt.Errorf("audit: %w", err)
	}
	return d.Settings(ctx, s.Address)
}
