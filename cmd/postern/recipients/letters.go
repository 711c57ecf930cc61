package recipients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"postern/cmd/postern/glue"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/desk/digest"
	"postern/internal/desk/links"
	"postern/internal/desk/mine"
	"postern/internal/entity"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/rules/book"
)

// Times of the letters.
const (
	every     = 15 * time.Second // how often arrivals and letters are looked at
	overlap   = time.Hour        // what arrived may be confirmed so much later
	lateAfter = time.Hour        // a letter that waits in the outbox for longer is late
	backward  = 8 * 24 * time.Hour
)

// States of a letter.
const (
	waiting   = "waiting"
	delivered = "delivered"
	refused   = "refused"
)

const alertKey = "digest"

// Run sends letters until ctx ends; of several nodes one does at a time.
func (d *Desk) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		err := d.Alone(ctx, "digests", d.Tend)
		if ctx.Err() != nil {
			return nil
		}
		d.tell(err)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// failingMost is how long letters may fail to go out before people are told: a store that fails
// over takes a moment.
const failingMost = 5 * time.Minute

// tell raises the alert for letters that do not go out, and ends it.
func (d *Desk) tell(err error) {
	switch {
	case err == nil:
		d.failing = time.Time{}
		d.Event(alertKey, "", true)
	case d.failing.IsZero():
		d.failing = d.Now()
		d.Log.Warn("digests", "err", err)
	case d.Now().Sub(d.failing) >= failingMost:
		d.Event(alertKey, "digests to recipients do not go out: "+err.Error(), false)
	}
}

// Tend looks at what arrived, and sends what is due.
func (d *Desk) Tend(ctx context.Context) error {
	if d.Config.Load().Public.At("/") == "" {
		return nil // no page could be linked to
	}
	errs := []error{d.collect(ctx), d.sendDue(ctx), d.late(ctx)}
	now := d.Now()
	_, err := d.Used.Prune(ctx, now)
	rows, _, found := d.disowned.Find(ctx, entity.Query{Index: "until", From: 1, To: now.UnixMilli(), Rising: true, Limit: entity.MaxPage})
	for _, row := range rows {
		err = errors.Join(err, d.disowned.Remove(ctx, row))
	}
	return errors.Join(append(errs, err, found)...)
}

// collect finds out for whom something new is held.
func (d *Desk) collect(ctx context.Context) error {
	now := d.Now().UTC()
	mark, err := d.progress.Get(ctx, "arrivals")
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		return err
	}
	since := now.Add(-backward)
	if at := mark.Value.At; at.After(since) && !at.After(now) {
		since = at
	}
	q := quarantine.Query{Class: quarantine.ByVerdict, States: []quarantine.State{quarantine.Held}, Since: since.Add(-overlap), Limit: quarantine.MaxPage}
	newest, policy := map[string]time.Time{}, map[string]string{}
	for {
		page, err := d.Quarantine.List(ctx, q)
		if err != nil {
			return err
		}
		for _, h := range page.Holds {
			if len(h.To) == 1 && theirs(&h, h.To[0]) && h.At.After(newest[Canonical(h.To[0])]) && d.told(&h) {
				newest[Canonical(h.To[0])], policy[Canonical(h.To[0])] = h.At, h.Policy
			}
		}
		if q.After = page.Next; page.Next == "" {
			break
		}
	}
	for addr, at := range newest {
		if err := d.plan(ctx, addr, policy[addr], at); err != nil {
			return err
		}
	}
	if mark.Version == 0 {
		_, err = d.progress.Create(ctx, progress{ID: "arrivals", At: now})
		return err
	}
	_, err = d.progress.Change(ctx, "arrivals", func(p *progress) error { p.At = now; return nil })
	return err
}

// told reports whether letters tell of a message: its policy may want none, or none of malware.
func (d *Desk) told(h *quarantine.Hold) bool {
	p, ok := d.Policy(h.Policy)
	off := ok && p.Digest == "off"
	return !off && d.hosted(h.To[0]) && (!h.Unsafe() || ok && p.DigestInfected)
}

// plan puts the next letter of a recipient into the calendar.
func (d *Desk) plan(ctx context.Context, addr, policy string, newest time.Time) error {
	r, err := d.reader(ctx, addr)
	if err != nil || r.Off || !r.Due.IsZero() || !newest.After(r.Seen) {
		return err
	}
	return d.change(ctx, addr, func(r *Reader) error {
		if r.Off || !r.Due.IsZero() || !newest.After(r.Seen) {
			return entity.ErrUnchanged
		}
		r.Due = d.due(r, d.policyHours(policy))
		return nil
	})
}

// policyHours are those that a policy names.
func (d *Desk) policyHours(name string) []int {
	if p, ok := d.Policy(name); ok {
		hours, _ := book.DigestHours(p.Digest) // checked when the rules were read
		return hours
	}
	return nil
}

// due is when the next letter of a recipient goes out: at the hours that were chosen, else those
// of the policy, else that of the configuration, in the recipient's time zone.
func (d *Desk) due(r *Reader, policy []int) time.Time {
	c := d.Config.Load().Digests
	hours := r.Hours
	if len(hours) == 0 {
		hours = policy
	}
	if len(hours) == 0 {
		hours = []int{c.Hour}
	}
	return next(d.Now(), hours, d.zone(r))
}

func (d *Desk) zone(r *Reader) *time.Location {
	for _, name := range []string{r.Zone, d.Config.Load().Digests.Zone} {
		if zone, err := time.LoadLocation(name); name != "" && err == nil {
			return zone
		}
	}
	return time.UTC
}

// next is the first of some hours after now.
func next(now time.Time, hours []int, zone *time.Location) time.Time {
	local := now.In(zone)
	hours = slices.Sorted(slices.Values(hours))
	for day := range 3 {
		for _, h := range hours {
			if t := time.Date(local.Year(), local.Month(), local.Day()+day, h, 0, 0, 0, zone); t.After(now) {
				return t.UTC()
			}
		}
	}
	return now.Add(24 * time.Hour).UTC() // not reached with any hour at all
}

// sendDue sends the letters whose time has come.
func (d *Desk) sendDue(ctx context.Context) error {
	var errs []error
	for after := ""; ; {
		rows, more, err := d.readers.Find(ctx, entity.Query{Index: "due", From: 1, To: d.Now().UnixMilli(), Rising: true, Limit: 200, After: after})
		if err != nil {
			return err
		}
		for _, row := range rows {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := d.send(ctx, row.Value); err != nil {
				errs = append(errs, fmt.Errorf("the letter to %s: %w", row.Value.Address, err))
			}
		}
		if after = more; more == "" || len(errs) > 20 {
			return errors.Join(errs...)
		}
	}
}

// send hands the letter of a recipient over, once: what it says is written down before, and its
// entry in the outbox has a name that follows from that.
func (d *Desk) send(ctx context.Context, r Reader) error {
	if r.Sending == nil {
		s, err := d.gather(ctx, &r)
		if err != nil {
			return err
		}
		err = d.change(ctx, r.Address, func(now *Reader) error {
			if now.Sending != nil || !now.Due.Equal(r.Due) {
				return entity.ErrUnchanged
			}
			if now.Sending = s; s == nil {
				now.Due = time.Time{}
			}
			r = *now
			return nil
		})
		if err != nil || r.Sending == nil {
			return err
		}
	}
	s := r.Sending
	if s.Ended == "" {
		message, err := d.compose(ctx, &r, s)
		if err != nil {
			return err
		}
		if err := d.Submit.Digest(ctx, s.Entry, r.Address, message); err != nil {
			return err
		}
	}
	return d.change(ctx, r.Address, func(now *Reader) error {
		if now.Sending == nil || now.Sending.Entry != s.Entry {
			return entity.ErrUnchanged
		}
		last := Last{Slot: s.Slot, At: s.At, Entry: s.Entry, Holds: len(s.Holds) + s.More, State: waiting}
		if e := now.Sending.Ended; e != "" {
			last.State, last.Reply = e, now.Sending.Reply
		}
		now.Seen, now.Due, now.Sending, now.Last = s.Upto, time.Time{}, nil, &last
		return nil
	})
}

// gather is what the next letter tells; nil: nothing is new.
func (d *Desk) gather(ctx context.Context, r *Reader) (*Sending, error) {
	s := &Sending{Slot: r.Due, At: d.Now().UTC().Truncate(time.Second)}
	since := r.Seen
	if !since.IsZero() {
		since = since.Add(time.Millisecond)
	}
	err := d.held(ctx, r.Address, since, "", func(h quarantine.Hold, _ string) bool {
		if h.State != quarantine.Held || !d.told(&h) {
			return true
		}
		if h.At.After(s.Upto) {
			s.Upto = h.At
		}
		if len(s.Holds) < digest.MaxLines {
			s.Holds = append(s.Holds, h.ID)
		} else {
			s.More++
		}
		return true
	})
	if err != nil || len(s.Holds) == 0 || r.Off {
		return nil, err
	}
	s.Entry, err = glue.EntryID("digest", r.Address+"\x00"+s.Slot.UTC().Format(time.RFC3339), s.At)
	return s, err
}

// compose writes a letter. What was released or deleted meanwhile is left out of it.
func (d *Desk) compose(ctx context.Context, r *Reader, s *Sending) ([]byte, error) {
	l := d.letter(r.Address, r.Language, s.Entry, s.At)
	l.Zone, l.More = d.zone(r), s.More
	for _, id := range s.Holds {
		h, err := d.Quarantine.Show(ctx, id)
		if errors.Is(err, quarantine.ErrNotFound) || err == nil && h.State != quarantine.Held {
			continue
		}
		if err != nil {
			return nil, err
		}
		line := digest.Line{From: h.From, Subject: h.Subject, At: h.At, Reason: l.Language.Say("own.reason-" + reason(&h))}
		for _, act := range mine.Acts() {
			if h.Unsafe() && (act == mine.Release || act == mine.Allow) {
				continue
			}
			text, err := d.Digests.Seal(links.Link{For: r.Address, Act: act, Of: id, Expires: s.At.Add(mine.LinkLife)})
			if err != nil {
				return nil, err
			}
			line.Links = append(line.Links, digest.Link{Text: l.Language.Say("own." + act), URL: d.page("/d/"+text, l.Language.Name)})
		}
		l.Lines = append(l.Lines, line)
	}
	return l.Digest()
}

func (d *Desk) page(path, language string) string {
	return d.Config.Load().Public.At(path) + "?lang=" + language
}

func (d *Desk) letter(addr, language, name string, at time.Time) digest.Letter {
	c := d.Config.Load()
	lang := d.book.Match(language, c.Digests.Language)
	return digest.Letter{
		From: From(c), To: addr, Host: c.Hostname, ID: name + ".digest@" + c.Hostname, Date: at, Language: lang, Zone: time.UTC,
		All: d.page("/mail", lang.Name), Settings: d.page("/mail/settings", lang.Name),
	}
}

// From is who writes the letters.
func From(c *config.Config) string {
	if c.Digests.From != "" {
		return c.Digests.From
	}
	_, parent, ok := strings.Cut(c.Hostname, ".")
	if !ok || !strings.Contains(parent, ".") {
		parent = c.Hostname
	}
	return "quarantine@" + parent
}

// Ended notes that a letter left the outbox. It is told before the entry is gone.
func (d *Desk) Ended(ctx context.Context, e outbox.Entry, f filter.Fate) {
	if e.Origin != glue.OriginDigest {
		return
	}
	state := delivered
	if f.State != filter.Delivered {
		state = refused
		d.Event("digest-refused", fmt.Sprintf("a letter about held mail could not be delivered to %s: %s", f.Recipient, f.Reply), false)
	}
	_, err := d.readers.Change(ctx, id(f.Recipient), func(r *Reader) error {
		switch {
		case r.Sending != nil && r.Sending.Entry == e.ID:
			r.Sending.Ended, r.Sending.Reply = state, f.Reply
		case r.Last != nil && r.Last.Entry == e.ID:
			r.Last.State, r.Last.Reply = state, f.Reply
		default:
			return entity.ErrUnchanged
		}
		return nil
	})
	if err != nil && !errors.Is(err, entity.ErrNotFound) {
		d.Log.Error("that a letter left the outbox is not noted", "entry", e.ID, "err", err)
	}
}

// late says which letters wait for the server behind for too long.
func (d *Desk) late(ctx context.Context) error {
	n, err := d.readers.Count(ctx, entity.Query{Index: "waiting", From: 1, To: d.Now().Add(-lateAfter).UnixMilli()}, entity.MaxPage)
	if err != nil {
		return err
	}
	d.Event("digest-late", fmt.Sprintf("%d letters about held mail have waited for the server behind for more than an hour (postern outbox list)", n), n == 0)
	return nil
}
