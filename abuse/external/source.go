// Package external works on cases about sources elsewhere: it confirms them, tells those who
// run them, blocks them, and opens again, half at first, when no more comes from there. The
// case says where a source stands; what is kept here is what follows from that.
package external

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"postern/abuse/cases/flow"
	"postern/abuse/external/order"
	"postern/internal/entity"
	"postern/internal/said"
)

// Ground is why a source is held to send abuse.
type Ground string

// The grounds. The last two are nothing to confirm a case by, nor to complain of.
const (
	User    Ground = "user"    // a user reported it
	Trap    Ground = "trap"    // it wrote to a trap
	Agent   Ground = "agent"   // an agent looked at the evidence
	Content Ground = "content" // our filters alone held it for spam
	SPF     Ground = "spf"     // its SPF failed, and nothing else
)

// Good reports whether a ground carries a complaint.
func (g Ground) Good() bool { return g == User || g == Trap || g == Agent }

// Sign is one ground, seen once.
type Sign struct {
	Ground Ground    `json:"ground"`
	Ref    string    `json:"ref"` // the report, or the hash of the evidence
	By     string    `json:"by"`
	At     time.Time `json:"at"`
}

// Source is what is kept of one case.
type Source struct {
	Case      string         `json:"case"`
	State     flow.State     `json:"state"` // of the case, as it was last looked at
	Since     time.Time      `json:"since"`
	IP        netip.Addr     `json:"ip,omitzero"`
	Domain    string         `json:"domain,omitempty"`
	Account   string         `json:"account,omitempty"` // as the provider would know it: the envelope sender
	Signs     []Sign         `json:"signs,omitempty"`
	Incidents int            `json:"incidents"` // signs that count, those no longer listed too
	Told      int            `json:"told"`      // up to which incident the provider was told
	Block     *order.Block   `json:"block,omitempty"`
	Held      bool           `json:"held,omitempty"`  // Block is in the list
	Hold      int            `json:"hold,omitempty"`  // days; doubled at each return
	Word      string         `json:"word,omitempty"`  // the provider's, that it stopped
	Tries     map[string]int `json:"tries,omitempty"` // attempts by day, 2006-01-02
}

// Bounds of a Source.
const (
	maxSigns  = 200
	maxDays   = 60
	firstHold = 7
	lastHold  = 28
	day       = 24 * time.Hour
)

func (d *Desk) sources() entity.Table[Source] {
	return entity.Table[Source]{Store: d.Home, Kind: "external-source", ID: func(s *Source) string { return s.Case }, Keys: func(s *Source) []entity.Key {
		at := s.Since.UnixMilli()
		keys := []entity.Key{{Index: "all", At: at}, {Index: "state", Value: string(s.State), At: at}}
		if s.live() {
			keys = append(keys, entity.Key{Index: "live", At: at})
		}
		if s.Held {
			keys = append(keys, entity.Key{Index: "held", At: at})
		}
		return keys
	}}
}

// live reports whether time alone may change something.
func (s *Source) live() bool {
	switch s.State {
	case flow.Lifted, flow.Rejected, flow.Resolved, flow.ResultSent, flow.Closed:
		return s.Held
	}
	return true
}

// about reports whether a source is an address, is within a network, or belongs to a domain.
func (s *Source) about(what string) bool {
	if n, err := netip.ParsePrefix(what); err == nil {
		return n.Contains(s.IP)
	}
	what = strings.ToLower(strings.TrimSpace(what))
	return s.IP.IsValid() && s.IP.String() == what || strings.Contains(s.Domain, what) || strings.Contains(strings.ToLower(s.Account), what) || strings.EqualFold(s.Case, what) ||
		s.Block != nil && s.Block.Value == what
}

// sign adds a ground, once; it reports whether it was new.
func (s *Source) sign(g Sign) bool {
	if slices.ContainsFunc(s.Signs, func(o Sign) bool { return o.Ground == g.Ground && o.Ref == g.Ref }) {
		return false
	}
	if s.Signs = append(s.Signs, g); len(s.Signs) > maxSigns {
		s.Signs = slices.Delete(s.Signs, 1, 2) // the first one stays
	}
	if g.Ground.Good() {
		s.Incidents++
	}
	return true
}

// tried counts attempts.
func (s *Source) tried(at time.Time, n int) {
	if s.Tries == nil {
		s.Tries = map[string]int{}
	}
	s.Tries[at.UTC().Format(time.DateOnly)] += n
	oldest := at.UTC().AddDate(0, 0, -maxDays).Format(time.DateOnly)
	for k := range s.Tries {
		if k < oldest {
			delete(s.Tries, k)
		}
	}
}

// triesIn are the attempts of the last days, the present one included.
func (s *Source) triesIn(now time.Time, days int) int {
	sum := 0
	for i := range days {
		sum += s.Tries[now.UTC().AddDate(0, 0, -i).Format(time.DateOnly)]
	}
	return sum
}

// Errors of a Desk; they come wrapped in sentences.
var (
	ErrGround  = said.New("external.no-ground-for-this-rfc-6650-section", "no ground for this (RFC 6650 section 5.2)")
	ErrMessage = said.New("external.the-message-is-not-kept", "the message is not kept")
)
