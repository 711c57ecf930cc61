package blocklist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/blocklist/link"
	"postern/blocklist/zone"
	"postern/filter"
	"postern/internal/dns"
)

// Client asks the lists of addresses; a check for OnConnect.
func (l *Lists) Client() filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		ip := m.Client.IP.Unmap().WithZone("")
		if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() {
			return nil, nil
		}
		return l.look(dns.WithShare(ctx, dns.Lists), map[Kind][]string{OfIP: {ip.String()}}, "")
	})
}

// Sender asks the lists of names about HELO and the domain of MAIL FROM; a check for
// OnSender.
func (l *Lists) Sender() filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		of := map[Kind][]string{}
		if d := zone.Domain(m.Client.Helo); d != "" {
			of[OfHelo] = []string{d}
		}
		if d := zone.Domain(m.FromDomain()); d != "" {
			of[OfDomain] = []string{d}
		}
		return l.look(dns.WithShare(ctx, dns.Lists), of, "")
	})
}

// standingAfter is how long a list may be switched off before its absence is nothing that
// a later try would find over.
const standingAfter = time.Hour

// opinion is what one list says of the subjects it was asked about.
type opinion struct {
	found    []filter.Finding
	words    string // why it did not tell, or ""
	standing bool
}

// look asks every list that is about one of the subjects, all at once. Note is put behind
// the detail of every finding.
func (l *Lists) look(ctx context.Context, of map[Kind][]string, note string) ([]filter.Finding, error) {
	all := make([]opinion, len(l.all))
	var asks []func()
	for i, one := range l.all {
		subjects := of[one.Of()]
		if len(subjects) == 0 {
			continue
		}
		if on, _ := one.On(); !on {
			all[i] = opinion{words: one.Name() + " is switched off", standing: one.OffFor(l.now()) > standingAfter}
			continue
		}
		asks = append(asks, func() { all[i] = l.consult(ctx, one, subjects, note) })
	}
	sideBySide(asks)
	var found []filter.Finding
	var words []string
	standing := true
	for _, o := range all {
		found = append(found, o.found...)
		if o.words != "" {
			words = append(words, o.words)
			standing = standing && o.standing
		}
	}
	if len(words) > 0 {
		return found, &filter.CouldNot{Words: strings.Join(words, ", "), Cause: ctx.Err(), Standing: standing}
	}
	return found, nil
}

// sideBySide runs all at once and waits for them; the first needs no goroutine of its own.
func sideBySide(all []func()) {
	if len(all) == 0 {
		return
	}
	var wg sync.WaitGroup
	for _, f := range all[1:] {
		wg.Go(f)
	}
	all[0]()
	wg.Wait()
}

// consult asks one list about all subjects and makes sure of its hits.
func (l *Lists) consult(ctx context.Context, one *zone.Zone, subjects []string, note string) opinion {
	answers, errs := make([]zone.Answer, len(subjects)), make([]error, len(subjects))
	asks := make([]func(), len(subjects))
	for i, s := range subjects {
		asks[i] = func() { answers[i], errs[i] = one.Ask(ctx, s, l.now()) }
	}
	sideBySide(asks)
	o := opinion{}
	for i, a := range answers {
		for _, s := range a.Symbols {
			o.found = append(o.found, filter.Finding{Symbol: s, Detail: subjects[i] + " is on " + one.Name() + note})
		}
	}
	var unproved error
	if len(o.found) > 0 {
		if unproved = one.Prove(ctx); unproved != nil {
			o.found = nil
		}
	}
	if err := l.judge(ctx, one, errs, unproved); err != nil {
		o.words = one.Name() + " " + err.Error()
	}
	return o
}

// judge notes how a list answered one message and returns why it could not tell, if so.
func (l *Lists) judge(ctx context.Context, one *zone.Zone, errs []error, unproved error) error {
	fault := unproved
	answered := unproved == nil
	for _, err := range errs {
		answered = answered && err == nil
		if fault == nil || errors.Is(fault, zone.ErrCut) && err != nil {
			fault = err
		}
	}
	switch {
	case answered:
		one.Answered()
		return nil
	case ctx.Err() != nil:
		return errTime
	case errors.Is(fault, zone.ErrCut):
		return fault
	}
	off, test := one.Missed(fault)
	if off {
		l.turn(one, fault)
	}
	if test {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return fault
}

var errTime = errors.New("did not answer in time")

// Links asks the lists of linked domains about the links in the body; a check for OnData.
// Ours reports domains that are never asked about: those mail is routed for. At most
// link.Most names are asked about; what was left out is said beside every finding and, as a
// standing failure, in the ledger.
func (l *Lists) Links(ours func(domain string) bool) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		if m.Parts == nil || !slices.ContainsFunc(l.all, func(z *zone.Zone) bool { return z.Of() == OfLink }) {
			return nil, nil
		}
		tree, err := m.Parts()
		if err != nil {
			return nil, &filter.CouldNot{Words: "the links could not be read", Cause: err}
		}
		names, asked, known := link.Names(tree.URLs(), ours, l.seed)
		if len(names) == 0 {
			return nil, nil
		}
		note := ""
		if asked < known {
			note = fmt.Sprintf(" (%d of %d linked domains were asked about)", asked, known)
		}
		found, err := l.look(dns.WithShare(ctx, dns.Links), map[Kind][]string{OfLink: names}, note)
		if err == nil && note != "" {
			err = &filter.CouldNot{Words: fmt.Sprintf("%d of %d linked domains were not asked about", known-asked, known), Standing: true}
		}
		return found, err
	})
}
