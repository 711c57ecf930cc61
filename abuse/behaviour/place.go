package behaviour

import (
	"math"
	"net/netip"
	"time"

	"postern/abuse"
)

// Login takes a successful login.
func (p *Profiles) Login(account string, ip netip.Addr, at time.Time) {
	account = abuse.Name(account)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.locate(p.of(account, at), account, ip, at)
}

// locate notes where an account is.
func (p *Profiles) locate(a *profile, name string, ip netip.Addr, at time.Time) {
	if !ip.IsValid() || ip.IsPrivate() || ip.IsLoopback() {
		return
	}
	now := at.Unix()
	if !p.known.see(name+"\x01"+Network(ip), now) && a.strange(at) {
		a.quiet = now
	}
	if p.geo == nil {
		return
	}
	w := p.geo.Where(ip.Unmap())
	if w.Country != "" {
		a.country = note(a.country, w.Country, now)
	}
	if w.ASN != 0 {
		a.asn = note(a.asn, w.ASN, now)
	}
	if !w.Precise {
		return
	}
	if a.spotAt != 0 && now >= a.spotAt {
		far := distance(a.spot, w)
		hours := math.Max(float64(now-a.spotAt)/3600, 1.0/60)
		if far > 500 && far/hours > p.cfg.Speed {
			a.travel = now
		}
	}
	if now >= a.spotAt { // what is read late moves nobody
		a.spot, a.spotAt = w, now
	}
}

// Network is what a client is known by: its /24, or its /48.
func Network(ip netip.Addr) string {
	ip = ip.Unmap()
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	n, _ := ip.WithZone("").Prefix(bits)
	return n.String()
}

// strange reports whether an account of some age never sent around this hour of the day.
func (a *profile) strange(at time.Time) bool {
	if at.Unix()-a.first < 7*86400 {
		return false
	}
	total, near := 0, 0
	h := at.UTC().Hour()
	for i, n := range a.clock {
		total += int(n)
		if d := (i - h + dayHours) % dayHours; d <= 1 || d == dayHours-1 {
			near += int(n)
		}
	}
	return total >= 50 && near == 0
}

// note adds to the places of a day; the oldest goes where there are too many.
func note[T comparable](all []place[T], what T, now int64) []place[T] {
	oldest := -1
	for i := range all {
		if all[i].what == what {
			all[i].at = max(all[i].at, now)
			return all
		}
		if oldest < 0 || all[i].at < all[oldest].at {
			oldest = i
		}
	}
	if len(all) < placesOf {
		return append(all, place[T]{what, now})
	}
	all[oldest] = place[T]{what, now}
	return all
}

func recent[T comparable](all []place[T], now time.Time) (out []T) {
	for _, p := range all {
		if now.Unix()-p.at < 86400 {
			out = append(out, p.what)
		}
	}
	return out
}

// distance is that of two places in kilometres on the globe.
func distance(a, b Place) float64 {
	const radius, rad = 6371, math.Pi / 180
	dLat, dLon := (b.Lat-a.Lat)*rad, (b.Lon-a.Lon)*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*math.Pow(math.Sin(dLon/2), 2)
	return 2 * radius * math.Asin(math.Min(1, math.Sqrt(h)))
}
