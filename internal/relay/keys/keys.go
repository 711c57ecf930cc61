// Package keys says which retry is the same: of a hold, of an evidence copy, of an answer.
package keys

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"postern/filter"
)

// digest hashes parts so that no two lists of parts run into one another.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 24), byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))})
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Hold is what makes a retry of the same mail the same hold.
func Hold(m *filter.Message, to string) string {
	return digest("hold", m.Listener, m.From, strings.ToLower(to), m.SHA256)
}

// Evidence differs from Hold: a copy kept beside a delivery answers no retry.
func Evidence(m *filter.Message, to string) string {
	return digest("evidence", m.Listener, m.From, strings.ToLower(to), m.SHA256)
}

// Report makes a retry of the same mail to the same addresses of the abuse desk one report.
func Report(m *filter.Message, to []string) string {
	return digest(append([]string{"report", m.Listener, m.Account, m.From, m.SHA256}, folded(to)...)...)
}

func folded(to []string) []string {
	out := make([]string, len(to))
	for i, a := range to {
		out[i] = strings.ToLower(a)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Answer is what makes a transaction the exact retry of another: client network, listener,
// account, envelope and bytes.
func Answer(m *filter.Message) string {
	parts := []string{"answer", network(m.Client.IP), m.Listener, m.Account, m.From, m.SHA256}
	to := make([]string, len(m.To))
	for i, r := range m.To {
		to[i] = strings.ToLower(r.Address)
	}
	slices.Sort(to)
	return digest(append(parts, slices.Compact(to)...)...)
}

// network is the /24 or /64 of an address: big senders retry from a neighbour.
func network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 24
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// Entry is of an outbox entry and not of the mail: the same mail may have been held and
// released before.
func Entry(id, to string) string { return digest("outbox", id, to) }
