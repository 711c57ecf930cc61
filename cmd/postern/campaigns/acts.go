package campaigns

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"time"

	"postern/blocklist"
	"postern/filter"
	"postern/filter/campaign"
	"postern/filter/campaign/opinion"
	"postern/filter/campaign/simhash"
	"postern/internal/config/value"
	"postern/internal/control"
	"postern/internal/mime"
	"postern/internal/people"
	"postern/quarantine"
)

// Held is the held mail of which people say what it is.
type Held interface {
	Show(ctx context.Context, id string) (quarantine.Hold, error)
	Raw(ctx context.Context, id string) (io.ReadCloser, error)
}

// maxMessage bounds a message that is looked at.
const maxMessage = 64 << 20

// wrap has the call that deletes held mail say that the letter is bad, where the configuration
// wants that, and the call that adds to the block list find what was delivered of a sender.
func (c *Campaigns) wrap(s *control.Server, held Held) {
	s.Wrap("quarantine.delete", func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
		hold, p := c.before(ctx, held, raw)
		out, err := next(ctx)
		if err == nil && p != 0 {
			c.deleted(context.WithoutCancel(ctx), held, hold, p)
		}
		return out, err
	})
	s.Wrap("blocklist.add", func(ctx context.Context, raw json.RawMessage, next func(context.Context) (any, error)) (any, error) {
		out, err := next(ctx)
		if err == nil && c.on() && !ofOne(ctx) {
			c.listed(context.WithoutCancel(ctx), raw)
		}
		return out, err
	})
}

// before reads the print of a held message, which is gone after it was deleted. Zero: deleting it
// says nothing.
func (c *Campaigns) before(ctx context.Context, held Held, raw json.RawMessage) (quarantine.Hold, simhash.Print) {
	var p struct{ ID string }
	if !c.on() || c.parts.Config.Load().Campaigns.Delete != value.LearnDesk || ofOne(ctx) || json.Unmarshal(raw, &p) != nil {
		return quarantine.Hold{}, 0
	}
	h, err := held.Show(ctx, p.ID)
	if err != nil || h.Direction != filter.Inbound.String() || h.Class != quarantine.ByVerdict || h.Size > maxMessage {
		return h, 0
	}
	r, err := held.Raw(ctx, h.ID)
	if err != nil {
		return h, 0
	}
	body, err := io.ReadAll(io.LimitReader(r, maxMessage))
	if cerr := r.Close(); err != nil || cerr != nil {
		return h, 0
	}
	return h, simhash.Of(mime.Bytes(body, mime.DefaultLimits()).Text())
}

// ofOne reports whether somebody acts who sees a part of the mail alone.
func ofOne(ctx context.Context) bool {
	who, ok := people.From(ctx)
	return ok && (who.Role == people.Recipient || len(who.Addresses)+len(who.Domains) > 0)
}

// deleted notes that the desk deleted a held letter, and tells what was delivered of it before.
// A fault is logged: what was done is done.
func (c *Campaigns) deleted(ctx context.Context, held Held, was quarantine.Hold, p simhash.Print) {
	if now, err := held.Show(ctx, was.ID); err != nil || now.State != quarantine.Deleted {
		return
	}
	if said, ok := c.book.Nearest(p); ok && said.Word != opinion.Reported {
		return
	}
	why := "held mail was deleted: " + was.ID
	err := c.say(ctx, p, opinion.Bad, control.Actor(ctx), why)
	if err == nil {
		err = c.tellOf(ctx, p, why)
	}
	if err != nil {
		c.parts.Log.Warn("what deleting a held message says of its campaign is lost", "hold", was.ID, "error", err)
	}
}

// tellOf tells what was delivered of a letter.
func (c *Campaigns) tellOf(ctx context.Context, p simhash.Print, why string) error {
	groups, err := c.parts.Store.Near(ctx, p, p.Wide())
	if err != nil {
		return err
	}
	copies, err := c.copies(ctx, groups)
	if err == nil {
		c.tell(p, why, copies)
	}
	return err
}

// Reported notes that one of our people handed in a message of which it is proved that it came in
// here.
func (c *Campaigns) Reported(ctx context.Context, reporter, report string, original []byte) {
	if !c.on() || len(original) > maxMessage {
		return
	}
	body := bytes.ReplaceAll(bytes.ReplaceAll(original, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	p := simhash.Of(mime.Bytes(body, mime.DefaultLimits()).Text())
	if p == 0 {
		return
	}
	if err := c.report(ctx, p, "reported by "+reporter+" ("+report+")", reporter, nil); err != nil {
		c.parts.Log.Warn("the campaign of a report could not be looked for", "report", report, "error", err)
	}
}

// maxOfEntry bounds the letters of one sender that are reported when it is listed.
const maxOfEntry = 20

// listed reports the letters that a sender, who was put on the block list just now, had delivered
// before.
func (c *Campaigns) listed(ctx context.Context, raw json.RawMessage) {
	e, ok := entryOf(raw)
	if !ok {
		return
	}
	groups, err := c.parts.Store.Recent(ctx, c.parts.Now().Add(-time.Duration(c.parts.Config.Load().Campaigns.Keep)), looked)
	if err != nil {
		c.parts.Log.Warn("what a listed sender had delivered could not be looked for", "entry", e.value, "error", err)
		return
	}
	n := 0
	for _, one := range campaign.Cluster(groups) {
		if one.Delivered == 0 || n == maxOfEntry {
			continue
		}
		copies, err := c.parts.Store.Copies(ctx, one.Prints[:min(len(one.Prints), campaign.MaxNear)], maxShown)
		if err != nil {
			c.parts.Log.Warn("what a listed sender had delivered could not be looked for", "entry", e.value, "error", err)
			return
		}
		if !e.sent(copies) {
			continue
		}
		n++
		if err := c.report(ctx, one.Print, "its sender was put on the block list: "+e.value, control.Actor(ctx), nil); err != nil {
			c.parts.Log.Warn("a letter of a listed sender could not be reported", "entry", e.value, "campaign", one.Print, "error", err)
		}
	}
}

// listing is what was put on the block list for everybody.
type listing struct {
	value string
	net   netip.Prefix
}

// entryOf reads an entry; ok is false for what says nothing of all mail of a sender.
func entryOf(raw json.RawMessage) (listing, bool) {
	var e blocklist.Entry
	if json.Unmarshal(raw, &e) != nil {
		return listing{}, false
	}
	e, err := e.Normalize()
	if err != nil || e.Allow || e.Scope != blocklist.All {
		return listing{}, false
	}
	out := listing{value: e.Value}
	if ip, err := netip.ParseAddr(e.Value); err == nil {
		out.net = netip.PrefixFrom(ip, ip.BitLen())
	} else if p, err := netip.ParsePrefix(e.Value); err == nil {
		out.net = p
	}
	return out, true
}

// sent reports whether a delivered copy is of the sender that was listed: an address, a domain
// with those below it, or a network.
func (l listing) sent(copies []campaign.Copy) bool {
	for _, o := range copies {
		from := strings.ToLower(o.From)
		domain := domainOf(from)
		ip, err := netip.ParseAddr(o.IP)
		if o.State == campaign.Delivered && (from == l.value || domain == l.value || strings.HasSuffix(domain, "."+l.value) || err == nil && l.net.IsValid() && l.net.Contains(ip.Unmap())) {
			return true
		}
	}
	return false
}
