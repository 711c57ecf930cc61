package blocklist

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"postern/blocklist/link"
	"postern/blocklist/zone"
)

// Answer is what one list says of one subject.
type Answer struct {
	List    string   `json:"list"` // "own" for the operator's own
	Zone    string   `json:"zone,omitempty"`
	Of      Kind     `json:"of"`
	Subject string   `json:"subject"`
	Listed  bool     `json:"listed"`            // and it counts: the list is on and its hit was proved
	Codes   []string `json:"codes,omitempty"`   // all addresses it answered, or the entry of an own list
	Symbols []string `json:"symbols,omitempty"` // what counts of it
	Text    string   `json:"text,omitempty"`    // the list's words, or the reason of an entry
	Off     string   `json:"off,omitempty"`     // why the list is switched off
	Error   string   `json:"error,omitempty"`   // why it could not tell
	Unasked string   `json:"unasked,omitempty"` // why it was not asked
}

// Why asks every list that can be asked about the subject: an address, a domain or a mail
// address (its domain). Lists of links are asked about the registrable domain too. A list
// that is switched off is asked all the same, and says so in Off; one that was never tested
// is tested first.
func (l *Lists) Why(ctx context.Context, subject string) []Answer {
	of := subjects(subject)
	var all []Answer
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, one := range l.all {
		for _, about := range of[one.Of()] {
			wg.Go(func() {
				a := l.why(ctx, one, about)
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b Answer) int {
		return cmp.Or(strings.Compare(a.List, b.List), strings.Compare(a.Subject, b.Subject))
	})
	return all
}

// Unasked names the lists that Why does not ask about the subject: they are about something
// else.
func (l *Lists) Unasked(subject string) []Answer {
	words := map[Kind]string{OfIP: "addresses of hosts", OfHelo: "names given at HELO", OfDomain: "domains of senders", OfLink: "domains of links"}
	of := subjects(subject)
	var all []Answer
	for _, one := range l.all {
		if kind := one.Of(); len(of) > 0 && len(of[kind]) == 0 {
			all = append(all, Answer{List: one.Name(), Zone: one.Apex(), Of: kind, Subject: subject, Unasked: "it lists " + words[kind]})
		}
	}
	return all
}

// subjects are what the lists of each kind are asked about.
func subjects(s string) map[Kind][]string {
	if ip, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return map[Kind][]string{OfIP: {ip.Unmap().WithZone("").String()}}
	}
	d := zone.Domain(s[strings.LastIndexByte(s, '@')+1:])
	if d == "" {
		return nil
	}
	links := []string{d}
	if domain, host := link.Registrable(d); domain != "" {
		links = slices.Compact([]string{domain, host})
	}
	return map[Kind][]string{OfHelo: {d}, OfDomain: {d}, OfLink: links}
}

func (l *Lists) why(ctx context.Context, one *zone.Zone, about string) Answer {
	out := Answer{List: one.Name(), Zone: one.Apex(), Of: one.Of(), Subject: about}
	if one.Health().Since.IsZero() { // no server runs that would have tested it
		l.turn(one, one.Test(ctx))
	}
	on, fault := one.On()
	if !on {
		out.Off = fault
	}
	a, err := one.Ask(ctx, about, l.now())
	if err == nil && len(a.Addrs) > 0 {
		err = one.Prove(ctx)
	}
	for _, ip := range a.Addrs {
		out.Codes = append(out.Codes, ip.String())
	}
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Listed = on && len(a.Addrs) > 0
	if len(a.Addrs) > 0 {
		out.Symbols, out.Text = a.Symbols, one.Text(ctx, about)
	}
	return out
}
