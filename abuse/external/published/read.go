// Package published takes in lists of spam servers that others publish: what is in them is
// looked at and tried on the mail of the last days before it takes effect, within one business
// day of its publication.
package published

import (
	"bufio"
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/external/order"
	"postern/internal/said"
)

// Bounds of a file.
const (
	MaxFile  = 4 << 20
	MaxLines = 50000
	maxTold  = 200 // refusals that are listed one by one
)

// ErrFile wraps what is wrong with a file as a whole.
var ErrFile = said.New("published.this-list-cannot-be-taken", "this list cannot be taken")

// Refusal is a line that is left out.
type Refusal struct {
	Line int        `json:"line"`
	Text string     `json:"text"`
	Why  string     `json:"why"`
	Said said.Words `json:"said,omitzero"` // Why by its code
}

// content is a file as it was read.
type content struct {
	entries  []string // normal form, sorted, each once
	refused  []Refusal
	left     int       // lines that are refused
	declared time.Time // "# Date: 2026-06-08T10:00:00Z"
}

// read takes one address or network a line. What stands behind it, and lines that begin with a
// # or a ;, are remarks.
func read(file []byte, p order.Protected, now time.Time) (content, error) {
	var out content
	if len(file) > MaxFile {
		return out, said.Errorf("published.it-has-octets-at-most-are-read", "%w: it has %d octets, at most %d are read", "kind", ErrFile, "n", len(file), "most", MaxFile)
	}
	in := bufio.NewScanner(bytes.NewReader(file))
	for n := 1; in.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(in.Text(), "\ufeff"))
		if strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(text[1:]), ":")
			if at, err := time.Parse(time.RFC3339, strings.TrimSpace(value)); err == nil && strings.EqualFold(name, "date") {
				out.declared = at.UTC()
			}
			continue
		}
		value, _, _ := strings.Cut(strings.Map(func(r rune) rune {
			if r == '\t' || r == ';' || r == '#' || r == ',' {
				return ' '
			}
			return r
		}, text), " ")
		if value == "" {
			continue
		}
		b := blockOf(value, "", now, now.Add(time.Hour), "list")
		if err := b.Check(p, now); err != nil {
			if out.left++; len(out.refused) < maxTold {
				r := Refusal{Line: n, Text: strings.ToValidUTF8(text[:min(len(text), 100)], "?")}
				reason(err).Put(&r.Why, &r.Said)
				out.refused = append(out.refused, r)
			}
			continue
		}
		if out.entries = append(out.entries, b.Value); len(out.entries) > MaxLines {
			return out, said.Errorf("published.line-it-has-more-than-entries", "%w: line %d: it has more than %d entries", "kind", ErrFile, "n", n, "most", MaxLines)
		}
	}
	if err := in.Err(); err != nil {
		return out, said.Errorf("published.a-line-is-longer-than-octets", "%w: a line is longer than %d octets", "kind", ErrFile, "most", bufio.MaxScanTokenSize)
	}
	slices.Sort(out.entries)
	out.entries = slices.Compact(out.entries)
	if len(out.entries) == 0 {
		return out, said.Errorf("published.it-has-no-entry-that-could-be", "%w: it has no entry that could be blocked", "kind", ErrFile)
	}
	return out, nil
}

// reason is the part of a refusal that is about the line.
func reason(err error) said.Words {
	w := said.Of(err)
	w.English = strings.TrimPrefix(w.English, order.ErrBlock.Error()+": ")
	return w
}

// blockOf is what an entry of a list asks for.
func blockOf(value, name string, at, until time.Time, by string) order.Block {
	scope := order.ByIP
	if strings.Contains(value, "/") {
		scope = order.ByNet
	}
	b := order.Block{Scope: scope, Value: value, Rule: order.WhenDropped, By: by, At: at, Until: until}
	said.Say("published.on-list", "it is on the published list %s", "name", name).Put(&b.Why, &b.Said)
	return b
}

// matcher finds addresses among entries.
type matcher struct {
	nets map[netip.Prefix]bool
	bits map[int]bool
}

func newMatcher(entries []string) matcher {
	m := matcher{map[netip.Prefix]bool{}, map[int]bool{}}
	for _, e := range entries {
		p, err := netip.ParsePrefix(e)
		if ip, ipErr := netip.ParseAddr(e); ipErr == nil {
			p, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		if err == nil {
			m.nets[p], m.bits[p.Bits()] = true, true
		}
	}
	return m
}

func (m matcher) has(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	for bits := range m.bits {
		if p, err := ip.Prefix(bits); err == nil && m.nets[p] {
			return true
		}
	}
	return false
}
