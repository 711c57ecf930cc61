package letter

import (
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Hop is a host that handed the message on, as the next one wrote it down.
type Hop struct {
	From, IP, By, With string
	At                 time.Time
	Delay              time.Duration // since the hop before
	Timed              bool          // Delay is known
	Back               bool          // the clock went back
	Ours               bool          // seen by the gateway itself
}

// maxPart bounds each word of a hop.
const maxPart = 120

var word = regexp.MustCompile(`(?i)(?:^|\s)(from|by|with)\s+([^\s;()]+)`)

// hops reads Received fields, the newest first, into hops, the oldest first.
func hops(received []string) (out []Hop, more int) {
	if len(received) > MaxHops {
		more = len(received) - MaxHops
		received = received[:MaxHops]
	}
	for i := len(received) - 1; i >= 0; i-- {
		out = append(out, hop(Clip(received[i], 4000)))
	}
	delays(out)
	return out, more
}

// delays says how long each hop took.
func delays(all []Hop) {
	var last time.Time
	for i := range all {
		h := &all[i]
		if h.At.IsZero() {
			continue
		}
		if !last.IsZero() {
			h.Delay, h.Timed = h.At.Sub(last), true
			h.Back = h.Delay < -time.Minute
		}
		last = h.At
	}
}

func hop(text string) (h Hop) {
	line, date := text, ""
	if i := strings.LastIndexByte(text, ';'); i >= 0 {
		line, date = text[:i], strings.TrimSpace(text[i+1:])
	}
	seen := map[string]bool{}
	for _, m := range word.FindAllStringSubmatch(line, -1) {
		name, value := strings.ToLower(m[1]), Printable(Clip(m[2], maxPart))
		if seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "from":
			h.From = value
		case "by":
			h.By = value
		case "with":
			h.With = value
		}
	}
	h.IP = literal(line)
	if t, err := mail.ParseDate(date); err == nil && t.Year() > 1970 && t.Year() < 2200 {
		h.At = t.UTC()
	}
	return h
}

// literal is the first address in brackets before "by".
func literal(line string) string {
	if i := strings.Index(strings.ToLower(line), " by "); i >= 0 {
		line = line[:i]
	}
	for {
		_, rest, ok := strings.Cut(line, "[")
		if !ok {
			return ""
		}
		inside, after, ok := strings.Cut(rest, "]")
		if !ok {
			return ""
		}
		text := inside
		if len(text) > 5 && strings.EqualFold(text[:5], "ipv6:") {
			text = text[5:]
		}
		if ip, err := netip.ParseAddr(text); err == nil {
			return ip.WithZone("").String()
		}
		line = after
	}
}

// Arrived adds the hop that the gateway saw itself.
func (l *Letter) Arrived(last Hop) {
	last.Ours = true
	l.Hops = append(l.Hops, last)
	delays(l.Hops)
}

// web is a link that leads to a web page, written out, or "".
func web(raw string) string {
	if strings.ContainsFunc(raw, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	if s := strings.ToLower(u.Scheme); s != "http" && s != "https" {
		return ""
	}
	return u.String()
}
