package service

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"postern/abuse/service/month"
	"postern/abuse/service/probe"
	"postern/internal/config"
)

// group is what a listener counts for.
func group(kind string) string {
	if kind == config.KindInbound {
		return "smtp-in"
	}
	return kind
}

func prefixes(all []config.Prefix) (out []netip.Prefix) {
	for _, p := range all {
		out = append(out, p.Prefix)
	}
	return out
}

// sampleEvery is how often ages are looked at.
const sampleEvery = 15 * time.Minute

// Look looks at everything once and writes down what was seen.
func (d *Desk) Look(ctx context.Context) {
	c := d.p.Config()
	if !c.Abuse.Service.Off {
		d.knock(ctx, c)
		d.behind(c)
	}
	d.readiness()
	if now := d.p.Now(); now.Sub(d.sampled) >= sampleEvery || now.Before(d.sampled) {
		d.sampled = now
		d.sample(ctx, now)
	}
	if ctx.Err() != nil {
		return // what was seen last is seen in a gateway that ends
	}
	d.said("writing", d.Book.Flush(ctx))
	if now := d.p.Now(); now.Sub(d.purged) >= 24*time.Hour || now.Before(d.purged) {
		if d.said("forgetting", d.Book.Purge(ctx)) {
			d.purged = now
		}
	}
}

// maxDoors bounds those that are looked at.
const maxDoors = 200

// knock looks at all doors at once. A gateway that ends has no doors to count.
func (d *Desk) knock(ctx context.Context, c *config.Config) {
	doors := d.also(c)
	if own := d.doors.Load(); own != nil {
		doors = append(doors, *own...)
	}
	doors = doors[:min(len(doors), maxDoors)]
	at := d.p.Now()
	var wg sync.WaitGroup
	for _, door := range doors {
		wg.Go(func() {
			begun := time.Now()
			err := probe.Look(ctx, &net.Dialer{}, door, c.Hostname)
			if ctx.Err() != nil {
				return
			}
			d.Book.Probed(door.Group, at, err)
			if name := pageOf(door); err == nil && name != "" {
				d.Book.Sample(name, at, time.Since(begun), "")
			}
		})
	}
	wg.Wait()
}

// pageOf is the sample that the time of a door's page belongs to, or "". Our own page is looked at
// from this machine; how long it takes over a narrow line says a door that has one in front.
func pageOf(d probe.Door) string {
	switch {
	case !d.Web:
		return ""
	case d.Band == "narrow":
		return month.PageNarrow
	case d.Band == "broad", d.Name == "public":
		return month.Page
	}
	return ""
}

// also are the doors that the configuration names.
func (d *Desk) also(c *config.Config) (out []probe.Door) {
	for _, t := range c.Abuse.Service.Also {
		out = append(out, probe.Door{Group: t.Group, Name: t.Addr, Addr: t.Addr, TLS: t.TLS, Web: t.Web, Band: t.Band})
	}
	return out
}

// behind is whether the servers that mail goes on to are there, as the relay knows it.
func (d *Desk) behind(c *config.Config) {
	at := d.p.Now()
	for name := range c.Backends {
		group := month.Behind
		if name == c.Egress {
			group = "smtp-out"
		}
		var err error
		if !d.p.Up(name) {
			err = errors.New("no server of backend " + name + " is up")
		}
		d.Book.Probed(group, at, err)
	}
}

// readiness notes why the node does not do all of its work, from one look to the next.
func (d *Desk) readiness() {
	at := d.p.Now()
	now := map[string]bool{}
	for _, why := range d.p.NotReady() {
		now[why] = true
		if !d.reasons[why] {
			d.Book.Fault("ready:"+why, why, at, false)
		}
	}
	for why := range d.reasons {
		if !now[why] {
			d.Book.Fault("ready:"+why, why, at, true)
		}
	}
	d.reasons = now
}

// sample notes the ages.
func (d *Desk) sample(ctx context.Context, now time.Time) {
	if version, age, ok := d.p.AV(); ok {
		d.Book.Sample(month.Signatures, now, age, version)
	}
	if d.p.Backups == nil {
		return
	}
	ages, err := d.p.Backups(ctx)
	if !d.said("the backups", err) {
		return
	}
	for name, age := range map[string]time.Duration{month.Incremental: ages.Last, month.Full: ages.Full, month.Oldest: ages.Oldest} {
		if age >= 0 {
			d.Book.Sample(name, now, age, "")
		}
	}
}
