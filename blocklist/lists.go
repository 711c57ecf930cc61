package blocklist

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/blocklist/zone"
	"postern/filter"
	"postern/internal/address"
)

// The nouns of DNS lists, under the names others use.
type (
	ListConfig = zone.Config
	ListHealth = zone.Health
	Kind       = zone.Kind
	Resolver   = zone.Resolver
)

// What a list is asked about.
const (
	OfIP     = zone.OfIP
	OfHelo   = zone.OfHelo
	OfDomain = zone.OfDomain
)

// Event is something the operator should hear of. Over says that the trouble with this Key
// has ended.
type Event struct {
	Key, Text string
	Over      bool
}

// ListParts is the world around Lists.
type ListParts struct {
	Resolver Resolver
	Now      func() time.Time
	Log      *slog.Logger
	Alert    func(Event)   // may be nil
	Every    time.Duration // between self-tests; 0 = 5 min
}

// Lists are the DNS lists in use.
type Lists struct {
	all   []*zone.Zone
	now   func() time.Time
	log   *slog.Logger
	alert func(Event)
	every time.Duration
	wake  chan struct{}
}

// NewLists reads the lists. The error names the first that cannot work.
func NewLists(cfg []ListConfig, parts ListParts) (*Lists, error) {
	l := &Lists{now: parts.Now, log: parts.Log, alert: parts.Alert, every: parts.Every, wake: make(chan struct{}, 1)}
	if l.now == nil {
		l.now = time.Now
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.every <= 0 {
		l.every = 5 * time.Minute
	}
	for _, c := range cfg {
		one, err := zone.New(c, parts.Resolver)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(l.all, func(o *zone.Zone) bool { return o.Name() == one.Name() }) {
			return nil, fmt.Errorf("list %s is written twice", one.Name())
		}
		l.all = append(l.all, one)
	}
	return l, nil
}

// Run tests every list at once and then on a timer, until ctx ends. A list is asked only
// while its last test passed.
func (l *Lists) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-l.wake:
		}
		l.Test(ctx)
		timer.Reset(l.every)
	}
}

// Test runs the self-test of every list now and returns their states in their order.
func (l *Lists) Test(ctx context.Context) []ListHealth {
	var wg sync.WaitGroup
	for _, one := range l.all {
		wg.Go(func() {
			err := one.Test(ctx)
			if ctx.Err() == nil {
				l.turn(one, err)
			}
		})
	}
	wg.Wait()
	return l.Health()
}

// Health returns the state of every list in their order.
func (l *Lists) Health() []ListHealth {
	all := make([]ListHealth, 0, len(l.all))
	for _, one := range l.all {
		all = append(all, one.Health())
	}
	return all
}

// turn switches a list on or off and says so when that is new.
func (l *Lists) turn(one *zone.Zone, err error) {
	_, fault := one.On()
	if !one.Turn(err, l.now()) {
		return
	}
	ev := Event{Key: "list/" + one.Name(), Text: "list " + one.Name() + " works again", Over: true}
	if err != nil {
		ev = Event{Key: ev.Key, Text: "list " + one.Name() + " (" + one.Apex() + ") is switched off: it " + err.Error()}
	}
	l.log.Info("DNS list", "list", one.Name(), "on", err == nil, "before", fault, "text", ev.Text)
	if l.alert != nil {
		l.alert(ev)
	}
}

// Client asks the lists of addresses; a check for OnConnect.
func (l *Lists) Client() filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		ip := m.Client.IP.Unmap().WithZone("")
		if !ip.IsValid() || !ip.IsGlobalUnicast() || ip.IsPrivate() {
			return nil, nil
		}
		return l.look(ctx, map[Kind]string{OfIP: ip.String()})
	})
}

// Sender asks the lists of names about HELO and the domain of MAIL FROM; a check for
// OnSender.
func (l *Lists) Sender() filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		of := map[Kind]string{}
		if d := name(m.Client.Helo); d != "" {
			of[OfHelo] = d
		}
		if d := name(m.FromDomain()); d != "" {
			of[OfDomain] = d
		}
		return l.look(ctx, of)
	})
}

// name is a domain in the form lists know it, "" for what is none: literals, single labels.
func name(s string) string {
	s = strings.TrimSuffix(s, ".")
	a, err := address.ToASCII(s)
	if err != nil || !strings.Contains(a, ".") || !address.ValidDomain(a) {
		return ""
	}
	if _, err := netip.ParseAddr(a); err == nil {
		return ""
	}
	return strings.ToLower(a)
}

// look asks every list that is about one of the subjects, all at once.
func (l *Lists) look(ctx context.Context, of map[Kind]string) ([]filter.Finding, error) {
	found := make([][]filter.Finding, len(l.all))
	words := make([]string, len(l.all))
	var wg sync.WaitGroup
	for i, one := range l.all {
		subject, wanted := of[one.Of()]
		if !wanted {
			continue
		}
		if on, _ := one.On(); !on {
			words[i] = one.Name() + " is switched off"
			continue
		}
		wg.Go(func() {
			a, err := l.consult(ctx, one, subject)
			if err != nil {
				words[i] = one.Name() + " " + err.Error()
			}
			for _, s := range a.Symbols {
				found[i] = append(found[i], filter.Finding{Symbol: s, Detail: subject + " is on " + one.Name()})
			}
		})
	}
	wg.Wait()
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) > 0 {
		return slices.Concat(found...), &filter.CouldNot{Words: strings.Join(words, ", "), Cause: ctx.Err()}
	}
	return slices.Concat(found...), nil
}

// consult asks one list and makes sure of a hit.
func (l *Lists) consult(ctx context.Context, one *zone.Zone, subject string) (zone.Answer, error) {
	a, err := one.Ask(ctx, subject)
	if err == nil && len(a.Symbols) > 0 {
		err = one.Prove(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return zone.Answer{}, errTime
	case err == nil:
		one.Answered()
		return a, nil
	}
	if one.Missed(err) {
		l.turn(one, err)
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return zone.Answer{}, err
}

type constError string

func (e constError) Error() string { return string(e) }

const errTime = constError("did not answer in time")

// Answer is what one list says of one subject.
type Answer struct {
	List    string   `json:"list"` // "own" for the operator's own
	Zone    string   `json:"zone,omitempty"`
	Of      Kind     `json:"of"`
	Subject string   `json:"subject"`
	Listed  bool     `json:"listed"`
	Codes   []string `json:"codes,omitempty"`   // all addresses it answered, or the entry of an own list
	Symbols []string `json:"symbols,omitempty"` // what counts of it
	Text    string   `json:"text,omitempty"`    // the list's words, or the reason of an entry
	Error   string   `json:"error,omitempty"`
}

// Why asks every list that can be asked about the subject: an address, a domain or a mail
// address (its domain). A list that is switched off is asked too, and says so in Error.
func (l *Lists) Why(ctx context.Context, subject string) []Answer {
	of := map[Kind]string{}
	if ip, err := netip.ParseAddr(strings.Trim(subject, "[]")); err == nil {
		of[OfIP] = ip.Unmap().WithZone("").String()
	} else {
		if i := strings.LastIndexByte(subject, '@'); i >= 0 {
			subject = subject[i+1:]
		}
		if d := name(subject); d != "" {
			of[OfHelo], of[OfDomain] = d, d
		}
	}
	var all []Answer
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, one := range l.all {
		if about, ok := of[one.Of()]; ok {
			wg.Go(func() {
				a := why(ctx, one, about)
				mu.Lock()
				all = append(all, a)
				mu.Unlock()
			})
		}
	}
	wg.Wait()
	slices.SortFunc(all, func(a, b Answer) int { return strings.Compare(a.List, b.List) })
	return all
}

func why(ctx context.Context, one *zone.Zone, about string) Answer {
	out := Answer{List: one.Name(), Zone: one.Apex(), Of: one.Of(), Subject: about}
	a, err := one.Ask(ctx, about)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	if on, fault := one.On(); !on {
		out.Error = "switched off: " + fault
	}
	out.Listed, out.Symbols = len(a.Addrs) > 0, a.Symbols
	for _, ip := range a.Addrs {
		out.Codes = append(out.Codes, ip.String())
	}
	if out.Listed {
		out.Text = one.Text(ctx, about)
	}
	return out
}
