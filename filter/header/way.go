package header

import (
	"net/netip"
	"regexp"
	"strings"
)

// MaxHops bounds the Received fields that are read.
const MaxHops = 50

var (
	hopBy      = regexp.MustCompile(`(?i)\bby\s+([A-Za-z0-9._-]+)`)
	hopAddress = regexp.MustCompile(`\[(\d{1,4}(?:\.\d{1,4}){3})\]`)
)

// way looks at the hops the message says it came by. What a hop says is the word of whoever
// wrote it; but some cannot be true.
func (l *look) way() {
	forged, impossible := false, false
	for i, hop := range l.head.All("Received") {
		if i == MaxHops {
			return
		}
		by := hopBy.FindStringSubmatch(hop)
		if !forged && by != nil && l.host != "" && strings.EqualFold(strings.TrimSuffix(by[1], "."), l.host) && !l.authorOurs() {
			l.add(ReceivedForged, hop)
			forged = true
		}
		for _, a := range hopAddress.FindAllStringSubmatch(hop, 4) {
			if _, err := netip.ParseAddr(a[1]); err != nil && !impossible {
				l.add(ReceivedNoAddress, a[1])
				impossible = true
			}
		}
	}
}

// authorOurs reports whether the author claims to be of ours: what a list sends back did go
// through us.
func (l *look) authorOurs() bool {
	for _, from := range l.tree.From() {
		if l.ours(from.Domain) {
			return true
		}
	}
	return false
}
