package greylist_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"postern/filter"
)

// pool is one kind of sender in the replay.
type pool struct {
	kind     string
	n        int // number of the sender
	addrs    int
	proof    string // "", spf or dmarc
	named    bool   // its hosts have names of one domain
	retry    []time.Duration
	verp     bool
	changing bool // it writes the body anew at each try
}

// try is one SMTP transaction of the replay.
type try struct {
	at, first time.Time
	pool      *pool
	mail, no  int
}

// tally is what became of the mails of a kind.
type tally struct {
	mails, delayed, in, lost int
	longest                  time.Duration
}

func senders(r *rand.Rand) []*pool {
	schedules := [][]time.Duration{
		{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute}, {5 * time.Minute}, {15 * time.Minute}, {time.Hour},
	}
	var all []*pool
	for i := range 1000 {
		if testing.Short() && i%5 != 0 {
			continue
		}
		p := &pool{n: i, retry: schedules[r.IntN(len(schedules))], addrs: 1 + r.IntN(50)}
		switch {
		case i < 10:
			p.kind, p.addrs, p.proof = "big provider, SPF", 500, "spf"
		case i < 100:
			p.kind, p.proof = "login codes, DMARC", "dmarc"
		case i < 400:
			p.kind, p.addrs = "small host", 1
		case i < 500:
			p.kind, p.proof, p.verp = "newsletter, SPF, VERP", "spf", true
		case i < 560:
			p.kind, p.named = "pool without SPF, named hosts", true
		case i < 600:
			p.kind = "pool without SPF or names"
		case i < 650:
			p.kind, p.addrs, p.changing = "body written anew", 1, true
		default:
			p.kind, p.retry = "spam, never again", nil
		}
		all = append(all, p)
	}
	return all
}

func (p *pool) client(r *rand.Rand) filter.Client {
	a := r.IntN(p.addrs)
	net := a % max(p.addrs/4, 1) // about four addresses in a /24
	c := filter.Client{IP: netip.AddrFrom4([4]byte{byte(20 + p.n/100), byte(p.n % 100), byte(net), byte(a%250 + 1)}), Helo: "h"}
	if p.named {
		c.Name = fmt.Sprintf("out%d.pool%d.example", a, p.n)
	}
	return c
}

func (w *world) replayed(r *rand.Rand, x try) *filter.Message {
	p := x.pool
	domain := fmt.Sprintf("s%d.example", p.n)
	body := fmt.Sprintf("mail %d of %d", x.mail, p.n)
	if p.changing {
		body += fmt.Sprint(" try ", x.no)
	}
	if p.retry == nil {
		body = "one text for all"
	}
	m := w.mail("192.0.2.1", body, func(m *filter.Message) {
		m.Client, m.From = p.client(r), "news@"+domain
		m.To[0].Address = fmt.Sprintf("user%d@here.example", x.mail)
		if p.verp {
			m.From = fmt.Sprintf("bounce-%d@%s", x.mail, domain)
		}
	})
	w.auth = nil
	if p.proof != "" {
		w.auth = append(w.auth, pass("spf", "smtp", "mailfrom", m.From))
	}
	if p.proof == "dmarc" {
		w.auth = append(w.auth, pass("dmarc", "header", "from", domain))
	}
	return m
}

// TestReplay sends the doubtful mail of a thousand senders over a week and tells what
// greylisting costs and what it keeps out.
func TestReplay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	w := newWorld(t)
	var queue []try
	for _, p := range senders(r) {
		for i := range 5 {
			at := start.Add(time.Duration(r.IntN(7*24*3600)) * time.Second)
			if p.retry == nil { // a burst of an hour
				at = start.Add(time.Duration(p.n)*time.Minute + time.Duration(i*12)*time.Minute)
			}
			queue = append(queue, try{at: at, first: at, pool: p, mail: i})
		}
	}
	tallies := map[string]*tally{}
	later := func(a, b try) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.pool.n, b.pool.n), cmp.Compare(a.mail, b.mail))
	}
	slices.SortFunc(queue, later)
	for len(queue) > 0 {
		x := queue[0]
		queue = queue[1:]
		w.pass(max(x.at.Sub(w.wall), 0))
		c := tallies[x.pool.kind]
		if c == nil {
			c = &tally{}
			tallies[x.pool.kind] = c
		}
		if x.no == 0 {
			c.mails++
		}
		deferred := w.send(w.replayed(r, x))
		switch {
		case !deferred:
			c.in++
			c.longest = max(c.longest, x.at.Sub(x.first))
			continue
		case x.no == 0:
			c.delayed++
		}
		if x.pool.retry == nil || x.no > 100 {
			c.lost++
			continue
		}
		x.at = x.at.Add(x.pool.retry[min(x.no, len(x.pool.retry)-1)])
		x.no++
		i, _ := slices.BinarySearchFunc(queue, x, later)
		queue = slices.Insert(queue, i, x)
	}
	report(t, tallies)
}

func report(t *testing.T, tallies map[string]*tally) {
	var honest tally
	for kind, c := range tallies {
		t.Logf("%-30s %4d mails, %4d delayed (%3d %%), longest %s, %d never in", kind, c.mails, c.delayed, 100*c.delayed/c.mails, c.longest, c.lost)
		if kind == "spam, never again" {
			if c.in > 0 {
				t.Errorf("%d of %d spam mails that nobody sent again got in", c.in, c.mails)
			}
			continue
		}
		honest.mails, honest.delayed, honest.lost = honest.mails+c.mails, honest.delayed+c.delayed, honest.lost+c.lost
		honest.longest = max(honest.longest, c.longest)
		if kind == "login codes, DMARC" && c.delayed > 0 {
			t.Errorf("%d login codes delayed", c.delayed)
		}
	}
	t.Logf("honest mail: %d, delayed %.1f %%, longest %s, never in %d", honest.mails, 100*float64(honest.delayed)/float64(honest.mails), honest.longest, honest.lost)
	if honest.lost > 0 {
		t.Errorf("%d honest mails never got in", honest.lost)
	}
}
