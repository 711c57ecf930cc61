// Package logins follows how logins to local accounts end: on the node that sees them, and
// through a log that all nodes share.
package logins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"postern/abuse"
	"postern/abuse/behaviour"
	"postern/abuse/signal"
	"postern/internal/said"
)

// Bounds of a Desk.
const (
	Guesses  = 10        // failures before a success that is strange
	Window   = time.Hour // within this
	MaxKnown = 20_000    // accounts, and rows, remembered at a node
	Waiting  = 2000      // rows and signals that wait for the store; more are left out
	told     = 6 * time.Hour
	fewest   = 3 // failures from one network that other nodes are told of
	writeFor = 5 * time.Second
)

// Desk sees how logins end on this node. Seen never waits: Run writes what is to be kept.
type Desk struct {
	Log  Log
	Emit func(ctx context.Context, s signal.Signal) error // keeps a signal
	Node string
	Now  func() time.Time
	// Failed hears what could not be kept; nil: nobody asks.
	Failed func(err error)

	start sync.Once
	queue chan job

	mu   sync.Mutex
	all  map[string]*failures
	rows map[string]*Row // by ID, as told to the log
	lost int             // left out since the last time that was said
}

// job is what Run writes: a row, or a signal.
type job struct {
	row    Row
	signal signal.Signal
}

type failures struct {
	n     int
	since time.Time
	from  string
}

// Seen takes how a login ended.
func (d *Desk) Seen(account string, client netip.Addr, ok bool) {
	account = abuse.Name(account)
	if account == "" || len(account) > 320 {
		return
	}
	now := d.Now()
	from := behaviour.Network(client)
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.count(account, from, ok, now); n >= Guesses {
		d.put(job{signal: guessed(account, client, n, now)})
	}
	if row, changed := d.note(account, from, client, ok, now); changed {
		d.put(job{row: row})
	}
}

// guessed is the signal of a success after failures; of an account there is one an hour.
func guessed(account string, client netip.Addr, n int, at time.Time) signal.Signal {
	_, tenant, _ := strings.Cut(account, "@")
	return signal.Signal{
		ID: behaviour.Guessed + ":" + hashed(account, at.Truncate(Window).Unix()), Family: signal.Behaviour, Rule: behaviour.Guessed,
		Account: account, Tenant: tenant, At: at, Weight: 20, Login: true,
	}.Saying(said.Say("seen.guessed", "a login from %s worked after %d that failed", "client", client, "n", n))
}

func hashed(all ...any) string {
	sum := sha256.Sum256(fmt.Appendln(nil, all...))
	return hex.EncodeToString(sum[:12])
}

// put hands a job to Run, under mu.
func (d *Desk) put(j job) {
	d.init()
	select {
	case d.queue <- j:
	default:
		d.lost++
	}
}

func (d *Desk) init() { d.start.Do(func() { d.queue = make(chan job, Waiting) }) }

// Run writes until ctx ends, and then what waits still, for a moment.
func (d *Desk) Run(ctx context.Context) error {
	d.init()
	for {
		select {
		case <-ctx.Done():
			return d.rest(context.WithoutCancel(ctx))
		case j := <-d.queue:
			d.write(context.WithoutCancel(ctx), j)
		}
	}
}

func (d *Desk) rest(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeFor)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case j := <-d.queue:
			d.write(ctx, j)
		default:
			return nil
		}
	}
	return nil
}

func (d *Desk) write(ctx context.Context, j job) {
	d.mu.Lock()
	lost := d.lost
	d.lost = 0
	d.mu.Unlock()
	if lost > 0 {
		d.fail(fmt.Errorf("%d logins or signals of them were not kept: the store is slower than they come", lost))
	}
	ctx, cancel := context.WithTimeout(ctx, writeFor)
	defer cancel()
	if j.signal.ID != "" {
		d.fail(d.Emit(ctx, j.signal))
		return
	}
	err := d.Log.Put(ctx, j.row)
	d.fail(err)
	if err != nil { // the next login of this kind is written again
		d.mu.Lock()
		delete(d.rows, j.row.ID)
		d.mu.Unlock()
	}
}

func (d *Desk) fail(err error) {
	if err != nil && d.Failed != nil {
		d.Failed(err)
	}
}

// note says whether other nodes are to hear of a login: of one that worked each six hours from
// a network, of failures from the third on, beyond Guesses each time they have doubled.
func (d *Desk) note(account, from string, client netip.Addr, ok bool, now time.Time) (Row, bool) {
	if !client.IsValid() || client.IsPrivate() || client.IsLoopback() {
		return Row{}, false // nobody can tell where that is
	}
	if d.rows == nil {
		d.rows = map[string]*Row{}
	}
	period := told
	if !ok {
		period = Window
	}
	id := hashed(account, from, d.Node, ok, now.Truncate(period).Unix())
	r := d.rows[id]
	if r == nil {
		d.makeRoom(now)
		r = &Row{ID: id, Account: account, Network: from, Client: client.Unmap(), Node: d.Node}
		d.rows[id] = r
	} else if ok {
		return Row{}, false
	}
	r.At = now.UTC()
	if ok {
		return *r, true
	}
	r.Failed++
	return *r, r.Failed >= fewest && (r.Failed <= Guesses || r.Failed&(r.Failed-1) == 0)
}

// makeRoom forgets rows of periods that are over, or any.
func (d *Desk) makeRoom(now time.Time) {
	if len(d.rows) < MaxKnown {
		return
	}
	for id, r := range d.rows {
		if now.Sub(r.At) >= told {
			delete(d.rows, id)
		}
	}
	for id := range d.rows {
		if len(d.rows) < MaxKnown {
			return
		}
		delete(d.rows, id)
	}
}

// count returns how many failures a success followed, 0 unless it is one.
func (d *Desk) count(account, from string, ok bool, now time.Time) int {
	if d.all == nil {
		d.all = map[string]*failures{}
	}
	f := d.all[account]
	if f != nil && now.Sub(f.since) > Window {
		delete(d.all, account)
		f = nil
	}
	if ok {
		delete(d.all, account)
		if f == nil || f.from != from && f.from != "" {
			return 0 // the owner, while somebody else guesses
		}
		return f.n
	}
	if f == nil {
		if len(d.all) >= MaxKnown {
			for name := range d.all {
				delete(d.all, name)
				break
			}
		}
		f = &failures{since: now, from: from}
		d.all[account] = f
	}
	if f.n++; f.from != from {
		f.from = "" // from several networks: any success counts
	}
	return 0
}
