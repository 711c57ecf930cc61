// Package behaviour watches how local accounts send: how much against their own history, to
// whom, from where, and what comes back. It keeps a small profile of each in memory, made from
// the send log and made again from it after a restart.
package behaviour

import (
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/sent"
)

// Config are the thresholds. A zero field takes the default in its comment.
type Config struct {
	Times       int     // volume: more than so many times the account's 99th percentile of recipients an hour: 3
	Volume      int     // and at least so many: 100
	Burst       int     // recipients in ten minutes, where that is also more than Times what is usual in an hour: 30
	Fresh       int     // recipients never written to before, an hour: 200
	DeadShare   float64 // at least this share does not exist: 0.15
	DeadTries   int     // of at least so many in a day: 50
	Countries   int     // of a day: 3
	Networks    int     // operators of a day: 5
	Speed       float64 // km/h between two places: 1000
	SpamShare   float64 // at least this share of an hour's mail was judged to be spam: 0.12
	SpamCount   int     // and at least so many messages: 3
	SpamFresh   int     // or two of them, to so many together that it never wrote to before: 20
	MaxAccounts int     // profiles: 100,000 of about 1.2 kB
	FilterBits  uint    // size of the memory of recipients, as a power of two of bits, twice: 27 = 2 x 16 MB
}

func (c Config) filled() Config {
	ints := func(p *int, n int) {
		if *p <= 0 {
			*p = n
		}
	}
	floats := func(p *float64, x float64) {
		if *p <= 0 {
			*p = x
		}
	}
	ints(&c.Times, 3)
	ints(&c.Volume, 100)
	ints(&c.Burst, 30)
	ints(&c.Fresh, 200)
	ints(&c.DeadTries, 50)
	ints(&c.Countries, 3)
	ints(&c.Networks, 5)
	ints(&c.SpamCount, 3)
	ints(&c.SpamFresh, 20)
	ints(&c.MaxAccounts, 100_000)
	floats(&c.DeadShare, 0.15)
	floats(&c.Speed, 1000)
	floats(&c.SpamShare, 0.12)
	if c.FilterBits < 10 || c.FilterBits > 36 {
		c.FilterBits = 27
	}
	return c
}

// Place is where an address is, as far as anybody knows.
type Place struct {
	Country  string // ISO 3166, "" = unknown
	ASN      uint32 // 0 = unknown
	Lat, Lon float64
	Precise  bool // Lat and Lon are known
}

// Geo tells where addresses are.
type Geo interface {
	Where(ip netip.Addr) Place
}

// Sizes of a profile's windows.
const (
	slot     = 5 * time.Minute
	slots    = 12 // an hour
	history  = 28 // days
	dayHours = 24
	placesOf = 16 // countries and operators of a day
)

type minutes struct {
	number                            int32 // of the slot since 1970
	recipients, fresh, messages, spam uint32
	spamFresh                         uint32 // of fresh, those of messages judged to be spam
}

type day struct {
	number int32
	most   uint32 // recipients of its fullest hour
	active uint8  // hours in which it sent
}

type tries struct {
	number      int32 // of the hour
	tried, gone uint32
}

type place[T comparable] struct {
	what T
	at   int64
}

// profile is what is known of one account.
type profile struct {
	recent  [slots]minutes
	days    [history]day
	dead    [dayHours]tries
	clock   [dayHours]uint16 // messages by hour of the day
	hour    int32            // the hour that total counts
	total   uint32
	first   int64 // Unix seconds
	last    int64
	country []place[string]
	asn     []place[uint32]
	spot    Place // the last precise place
	spotAt  int64
	travel  int64 // when it last moved faster than anybody can
	quiet   int64 // when it last sent from a strange network in a quiet hour
}

// Profiles are the profiles of all accounts. Its methods are safe for concurrent use.
type Profiles struct {
	cfg Config
	geo Geo

	mu    sync.Mutex
	all   map[string]*profile
	known filterPair
	rows  seenRows
}

// New makes empty profiles. geo may be nil.
func New(cfg Config, geo Geo) *Profiles {
	cfg = cfg.filled()
	return &Profiles{cfg: cfg, geo: geo, all: map[string]*profile{}, known: newFilterPair(cfg.FilterBits)}
}

// Add takes a row of the send log. A row that comes again, since something became of its copies,
// adds only what is new.
func (p *Profiles) Add(r sent.Row) {
	if r.Account == "" || r.At.IsZero() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.of(abuse.Name(r.Account), r.At)
	gone := 0
	for _, c := range r.Copies {
		if Nonexistent(c) {
			gone++
		}
	}
	before, again := p.rows.see(r.Serial, gone)
	tried := len(r.Copies)
	if again {
		tried, gone = 0, max(gone-before, 0)
	} else {
		p.first(a, r)
	}
	a.bounce(r.At, tried, gone)
}

// Nonexistent reports whether a copy went to an address that does not exist: 5.1.x at once or
// in a later report.
func Nonexistent(c sent.Copy) bool {
	if strings.HasPrefix(c.Bounced, "5.1.") {
		return true
	}
	if c.State != sent.Refused && c.State != sent.Failed {
		return false
	}
	words := strings.Fields(c.Reply)
	return len(words) > 1 && strings.HasPrefix(words[0], "55") && strings.HasPrefix(words[1], "5.1.")
}

// first counts a row that was not seen before.
func (p *Profiles) first(a *profile, r sent.Row) {
	at := r.At.Unix()
	s := a.slot(r.At)
	s.messages++
	before := s.fresh
	s.recipients += uint32(len(r.Copies))
	name := abuse.Name(r.Account)
	for _, c := range r.Copies {
		if !p.known.see(name+"\x00"+strings.ToLower(c.Recipient), at) {
			s.fresh++
		}
	}
	if suspicious(r) {
		s.spam++
		s.spamFresh += s.fresh - before
	}
	a.count(r.At, len(r.Copies))
	p.locate(a, name, r.Client.Addr(), r.At)
	h := r.At.UTC().Hour()
	if a.clock[h] < 1<<16-1 {
		a.clock[h]++
	}
}

// suspicious reports whether our own checks spoke against a message.
func suspicious(r sent.Row) bool {
	return r.Action != "" && r.Action != "accept" || slices.Contains(r.Symbols, "VIRUS")
}

func (p *Profiles) of(account string, at time.Time) *profile {
	a := p.all[account]
	if a == nil {
		if len(p.all) >= p.cfg.MaxAccounts {
			p.shrink()
		}
		a = &profile{first: at.Unix()}
		p.all[account] = a
	}
	a.last = max(a.last, at.Unix())
	return a
}

// shrink forgets the tenth that was idle for longest.
func (p *Profiles) shrink() {
	type idle struct {
		name string
		last int64
	}
	all := make([]idle, 0, len(p.all))
	for name, a := range p.all {
		all = append(all, idle{name, a.last})
	}
	slices.SortFunc(all, func(x, y idle) int { return int(x.last - y.last) })
	for _, i := range all[:len(all)/10+1] {
		delete(p.all, i.name)
	}
}

func (a *profile) slot(at time.Time) *minutes {
	n := int32(at.Unix() / int64(slot/time.Second))
	s := &a.recent[n%slots]
	if s.number < n {
		*s = minutes{number: n}
	}
	return s
}

// count adds to the hour, and the hour to its day.
func (a *profile) count(at time.Time, recipients int) {
	hour := int32(at.Unix() / 3600)
	if hour != a.hour {
		a.hour, a.total = hour, 0
	}
	n := hour / 24
	d := &a.days[n%history]
	if d.number != n {
		*d = day{number: n}
	}
	if a.total == 0 && d.active < dayHours {
		d.active++
	}
	a.total += uint32(recipients)
	d.most = max(d.most, a.total)
}

func (a *profile) bounce(at time.Time, tried, gone int) {
	n := int32(at.Unix() / 3600)
	t := &a.dead[n%dayHours]
	switch {
	case t.number < n:
		*t = tries{number: n}
	case t.number > n:
		return // older than a day
	}
	t.tried += uint32(tried)
	t.gone = min(t.gone+uint32(gone), t.tried)
}

// settled is how long a day must be over before it counts as history.
const settled = 12 * time.Hour

// usual is the 99th percentile of recipients an hour over the hours in which it sent, of the
// last 28 days without the last one: what began today does not make itself usual, nor does at
// midnight what began the evening before. It rests on the fullest hour of each day.
func (a *profile) usual(now time.Time) int {
	today := int32(now.Add(-settled).Unix() / 86400)
	var most []uint32
	active := 0
	for _, d := range a.days {
		if d.number < today && d.number > today-history-1 && d.active > 0 {
			most = append(most, d.most)
			active += int(d.active)
		}
	}
	if len(most) == 0 {
		return 0
	}
	slices.Sort(most)
	slices.Reverse(most)
	return int(most[min(active/100, len(most)-1)])
}

// lastHour sums the last hour.
func (a *profile) lastHour(now time.Time) (sum minutes) {
	n := int32(now.Unix() / int64(slot/time.Second))
	for _, s := range a.recent {
		if s.number > n-slots && s.number <= n {
			sum.recipients += s.recipients
			sum.fresh += s.fresh
			sum.messages += s.messages
			sum.spam += s.spam
			sum.spamFresh += s.spamFresh
		}
	}
	return sum
}

// burst counts the recipients of the last five to ten minutes.
func (a *profile) burst(now time.Time) (sum int) {
	n := int32(now.Unix() / int64(slot/time.Second))
	for _, s := range a.recent {
		if s.number >= n-1 && s.number <= n {
			sum += int(s.recipients)
		}
	}
	return sum
}

func (a *profile) lastDay(now time.Time) (tried, gone int) {
	n := int32(now.Unix() / 3600)
	for _, t := range a.dead {
		if t.number > n-dayHours && t.number <= n {
			tried += int(t.tried)
			gone += int(t.gone)
		}
	}
	return tried, gone
}

// Active counts the accounts that sent in the last 28 days, of a domain or of all with "".
func (p *Profiles) Active(domain string, now time.Time) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := now.Add(-history * 24 * time.Hour).Unix()
	for name, a := range p.all {
		if a.last >= since && (domain == "" || strings.HasSuffix(name, "@"+domain)) {
			n++
		}
	}
	return n
}

// Accounts counts the profiles.
func (p *Profiles) Accounts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
