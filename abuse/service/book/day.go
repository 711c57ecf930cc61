// Package book writes down what the figures of the service guarantee are made of: minutes in
// which the service answered or did not, delays of mail, ages, faults. Nothing is written for
// a time in which nobody looked.
package book

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// What a minute was.
const (
	None   = ' ' // nobody looked
	Good   = '.'
	Failed = 'x'
)

// Ways of mail.
const (
	Send    = "send"    // full receipt to the start of the transfer
	Receive = "receive" // full receipt to the server of the mailbox
)

// TooLate is the delay that one message a month may have.
const TooLate = time.Hour

// Bounds of a day's record.
const (
	maxMinutes  = 25 * 60 // of a day that is longer because clocks are put back
	maxFailures = 300     // reasons of a group; the minutes themselves are all there
	maxSlow     = 500     // late messages that are listed; all are counted
	maxTenants  = 3000    // domains of one part; the others are counted as Others
	maxReason   = 300
	maxGroups   = 32
	parts       = 16
)

// Others stands for the domains that had no room of their own.
const Others = "(others)"

// Failure is why a minute failed.
type Failure struct {
	At    time.Time `json:"at"`
	Group string    `json:"group"`
	Why   string    `json:"why"`
}

// Delay sums up delays of mail, in milliseconds.
type Delay struct {
	Count int64 `json:"count"`
	Sum   int64 `json:"sum_ms"`
	Max   int64 `json:"max_ms"`
	Over  int64 `json:"over"` // later than TooLate
	Held  int64 `json:"held"` // copies in quarantine: no delay, reported apart
}

// Slow is one message that came later than TooLate.
type Slow struct {
	At      time.Time `json:"at"`
	Way     string    `json:"way"`
	Tenant  string    `json:"tenant"`
	Message string    `json:"message"`
	Delay   int64     `json:"delay_ms"`
}

// Age sums up samples of an age or a duration, in seconds.
type Age struct {
	Count int64     `json:"count"`
	Sum   float64   `json:"sum_s"`
	Max   float64   `json:"max_s"`
	MaxAt time.Time `json:"max_at"`
	Last  float64   `json:"last_s"`
	Note  string    `json:"note,omitempty"` // of the last sample
}

// Day is what one node saw on one day of the guarantee's zone.
type Day struct {
	ID       string            `json:"id"`
	Date     string            `json:"date"`
	Node     string            `json:"node"`
	Zone     string            `json:"zone"`
	From     time.Time         `json:"from"`
	Minutes  map[string]string `json:"minutes,omitempty"` // by group, one letter a minute from From on
	Failures []Failure         `json:"failures,omitempty"`
	Delays   map[string]Delay  `json:"delays,omitempty"` // by way
	Slow     []Slow            `json:"slow,omitempty"`
	Ages     map[string]Age    `json:"ages,omitempty"` // by name

	Merged []string `json:"merged,omitempty"` // digests of records of another home that are in it
}

// Tenants is the mail of some domains, as one node saw it on one day.
type Tenants struct {
	ID     string                      `json:"id"`
	Date   string                      `json:"date"`
	Node   string                      `json:"node"`
	From   time.Time                   `json:"from"`
	Delays map[string]map[string]Delay `json:"delays"` // by domain and way

	Merged []string `json:"merged,omitempty"` // as in Day
}

// plus is both together.
func (d Delay) plus(o Delay) Delay {
	return Delay{d.Count + o.Count, d.Sum + o.Sum, max(d.Max, o.Max), d.Over + o.Over, d.Held + o.Held}
}

// Plus is both together.
func (d Delay) Plus(o Delay) Delay { return d.plus(o) }

// Plus is both together; o is the later one.
func (a Age) Plus(o Age) Age {
	switch {
	case o.Count == 0:
		return a
	case a.Count == 0:
		return o
	}
	out := Age{a.Count + o.Count, a.Sum + o.Sum, a.Max, a.MaxAt, o.Last, o.Note}
	if o.Max > a.Max {
		out.Max, out.MaxAt = o.Max, o.MaxAt
	}
	return out
}

// mark puts a letter at a minute. A failure stays one.
func mark(track string, minute int, letter byte) string {
	if minute < 0 || minute >= maxMinutes {
		return track
	}
	b := []byte(track)
	for len(b) <= minute {
		b = append(b, None)
	}
	if b[minute] != Failed {
		b[minute] = letter
	}
	return string(b)
}

func overlay(a, b string) string {
	for i := range len(b) {
		if b[i] != None {
			a = mark(a, i, b[i])
		}
	}
	return a
}

// add lays what was seen since over what is written already.
func (d *Day) add(o *Day) {
	if d.Minutes == nil {
		d.Minutes = map[string]string{}
	}
	for group, track := range o.Minutes {
		if _, ok := d.Minutes[group]; ok || len(d.Minutes) < maxGroups {
			d.Minutes[group] = overlay(d.Minutes[group], track)
		}
	}
	d.Failures = cut(append(d.Failures, o.Failures...), maxFailures*max(1, len(d.Minutes)))
	d.Slow = cut(append(d.Slow, o.Slow...), maxSlow)
	d.Delays = sum(d.Delays, o.Delays)
	if d.Ages == nil && len(o.Ages) > 0 {
		d.Ages = map[string]Age{}
	}
	for name, a := range o.Ages {
		d.Ages[name] = d.Ages[name].Plus(a)
	}
}

// add lays what was seen since over what is written already.
func (t *Tenants) add(o *Tenants) {
	if t.Delays == nil {
		t.Delays = map[string]map[string]Delay{}
	}
	for domain, d := range o.Delays {
		if _, ok := t.Delays[domain]; !ok && len(t.Delays) >= maxTenants {
			domain = Others
		}
		t.Delays[domain] = sum(t.Delays[domain], d)
	}
}

func sum(a, b map[string]Delay) map[string]Delay {
	if len(b) == 0 {
		return a
	}
	out := maps.Clone(a)
	if out == nil {
		out = map[string]Delay{}
	}
	for way, d := range b {
		out[way] = out[way].plus(d)
	}
	return out
}

func cut[T any](all []T, most int) []T {
	if len(all) > most {
		return slices.Clip(all[:most])
	}
	return all
}

// clean makes text of strangers fit for a record.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "")
	}
	return text
}
