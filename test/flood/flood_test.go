package flood_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/intakecalls"
	"postern/internal/config"
	"postern/internal/mailtest/ledger"
	"postern/test/rig"
	"postern/test/world"
)

// shape is how much is sent. The flood comes at the pace of ten thousand in ten minutes.
type shape struct {
	accounts, complaints, pairs int
	lasts                       time.Duration // of one half of a pair
	rate                        int           // normal messages a second
}

func whole(t *testing.T) shape {
	s := shape{accounts: 30_000, complaints: 10_000, pairs: 9, lasts: 66 * time.Second, rate: 50}
	if !long() {
		s = shape{accounts: 300, complaints: 200, pairs: 1, lasts: 4 * time.Second, rate: 25}
	}
	s.accounts, s.complaints, s.pairs = number(t, "POSTERN_ABUSE_ACCOUNTS", s.accounts), number(t, "POSTERN_COMPLAINTS", s.complaints), number(t, "POSTERN_PAIRS", s.pairs)
	s.lasts, s.rate = time.Duration(number(t, "POSTERN_SECONDS", int(s.lasts/time.Second)))*time.Second, number(t, "POSTERN_RATE", s.rate)
	return s
}

// half is one half of a pair: what the gateway spent, and how long normal mail waited.
type half struct {
	cpu      float64 // seconds, until the last complaint is worked on
	within   float64 // the same, as long as mail is sent
	redis    float64 // of the Redis, until the last complaint is worked on
	messages int
	p50, p95 time.Duration
	flood    int
	worked   time.Duration // from the last complaint's 250 until none waits
}

// TestNormalMailBesideAFlood sends normal mail at a fixed pace, in turn alone and beside forged
// complaints. What it prints is the whole CPU time of the process, the work on the complaints
// included and nothing taken off, for each normal message. It asks of no time.
func TestNormalMailBesideAFlood(t *testing.T) {
	for _, name := range []string{config.HomeLocal, config.HomeRedis} {
		t.Run(name, func(t *testing.T) { beside(t, name) })
	}
}

func beside(t *testing.T, name string) {
	s := whole(t)
	n := onHome(t, name)
	n.fill(t, s.accounts)
	n.Start()
	n.Ready()
	r := &rounds{t: t, node: n, shape: s}
	r.half(-1, 0) // connections, answers of the DNS
	n.settled(t)
	each := s.complaints / s.pairs
	var alone, flooded []half
	for i := range s.pairs {
		for k := range 2 {
			if (i+k)%2 == 0 {
				alone = append(alone, r.half(2*i, 0))
			} else {
				flooded = append(flooded, r.half(2*i+1, each))
			}
		}
		a, f := alone[i], flooded[i]
		t.Logf("pair %d, machine %s: alone %s; beside %d complaints %s, worked on %v after the last; ratio CPU %.2f, p95 %.2f",
			i+1, machine(), a, f.flood, f, f.worked.Round(time.Millisecond), f.each()/a.each(), float64(f.p95)/float64(a.p95))
	}
	report(t, name, s, alone, flooded)
	n.after(t, s, each*s.pairs)
}

func (h half) each() float64 { return h.cpu / float64(h.messages) }

func (h half) String() string {
	return fmt.Sprintf("%.2f ms CPU a message, p50 %v p95 %v", h.each()*1000, h.p50.Round(100*time.Microsecond), h.p95.Round(100*time.Microsecond))
}

// report prints medians and ranges.
func report(t *testing.T, name string, s shape, alone, flooded []half) {
	t.Helper()
	var cpu, within, both, p95, fair, own []float64
	for i, a := range alone {
		f := flooded[i]
		cpu = append(cpu, f.each()/a.each())
		within = append(within, f.within/float64(f.messages)/(a.within/float64(a.messages)))
		both = append(both, (f.cpu+f.redis)/float64(f.messages)/((a.cpu+a.redis)/float64(a.messages)))
		p95 = append(p95, float64(f.p95)/float64(a.p95))
		mine := (f.cpu - a.each()*float64(f.messages)) / float64(max(f.flood, 1)) // what a complaint costs beyond the normal mail
		own = append(own, mine*1000)
		fair = append(fair, f.cpu/float64(f.messages+f.flood)/a.each())
	}
	line := func(what string, all []float64) {
		m, lo, hi := spread(all)
		t.Logf("%s: %-58s median %.2f (%.2f to %.2f)", name, what, m, lo, hi)
	}
	t.Logf("%s: %d accounts, %d pairs, %d normal messages a second for %v, beside %d complaints each", name, s.accounts, s.pairs, s.rate, s.lasts, flooded[0].flood)
	line("CPU of the node for each normal message, with : without", cpu)
	line("the same, without what was done after the last of them", within)
	if both[0] != cpu[0] {
		line("the same, that of the Redis included", both)
	}
	line("p95 of normal messages, with : without", p95)
	line("CPU for each message of either kind, with : without", fair)
	line("CPU of a complaint, ms", own)
}

// rounds makes the halves.
type rounds struct {
	t *testing.T
	node
	shape
	seed, sent int
}

// half sends normal mail for a while, beside some complaints at an even pace.
func (r *rounds) half(number, complaints int) (h half) {
	r.t.Helper()
	r.seed++
	count := int(r.lasts.Seconds()) * r.rate
	before, redis := spent(r.t, r.PID), r.store()
	var wg sync.WaitGroup
	var waits []time.Duration
	var mu sync.Mutex
	normal := r.Load(uint64(r.seed), count)
	normal.Parallel, normal.PerConn, normal.Ledger = 30, 5, r.Book
	make1 := rig.Harmless(uint64(r.seed), 20<<10)
	normal.Make = paced(r.lasts, count, func(n int) ledger.Message { return make1(n/3*7 + n%3) }) // of the kinds that nothing holds
	normal.Told = func(_ ledger.Message, _ string, took time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		waits = append(waits, took)
	}
	wg.Go(func() {
		out, err := normal.Run(r.t.Context())
		if err != nil || out.Unanswered > 0 {
			r.t.Errorf("normal mail: %s, %v", out, err)
		}
		h.messages = out.Messages
	})
	if complaints > 0 {
		wg.Go(func() { h.flood = r.flood(complaints) })
	}
	wg.Wait()
	h.within = spent(r.t, r.PID) - before
	start := time.Now()
	if complaints > 0 {
		r.settled(r.t)
	}
	h.worked = time.Since(start)
	h.cpu, h.redis = spent(r.t, r.PID)-before, r.store()-redis
	slices.Sort(waits)
	h.p50, h.p95 = waits[len(waits)/2], waits[len(waits)*95/100]
	return h
}

// store is what the Redis of the gateway spent.
func (r *rounds) store() float64 {
	if r.redis == nil {
		return 0
	}
	return spent(r.t, r.redis.Pid())
}

// flood sends complaints, each from a host of its own, and says how many were taken.
func (r *rounds) flood(complaints int) int {
	from := r.sent
	r.sent += complaints
	var taken, host atomic.Int64
	host.Store(int64(from))
	l := ledger.Load{
		Addr: r.Addrs["world"], Messages: complaints, Parallel: 20, PerConn: 1, Tries: 3, Ledger: ledger.New(), Helo: "out.isp.example",
		Dial: proxied(func() int { return int(host.Add(1)) }), Make: paced(r.lasts, complaints, func(n int) ledger.Message { return forged(from+n, r.accounts) }),
		Told: func(_ ledger.Message, reply string, _ time.Duration) {
			if strings.HasPrefix(reply, "250") && strings.Contains(reply, "taken by the abuse desk") {
				taken.Add(1)
				return
			}
			r.t.Errorf("a complaint was answered %s", reply)
		},
	}
	out, err := l.Run(r.t.Context())
	if err != nil || out.Unanswered > 0 || int(taken.Load()) != complaints {
		r.t.Errorf("the flood: %s, %d taken, %v", out, taken.Load(), err)
	}
	return int(taken.Load())
}

// paced spreads messages evenly over a time.
func paced(lasts time.Duration, count int, make1 func(n int) ledger.Message) func(n int) ledger.Message {
	var once sync.Once
	var start time.Time
	return func(n int) ledger.Message {
		once.Do(func() { start = time.Now() })
		m := make1(n)
		time.Sleep(time.Until(start.Add(lasts * time.Duration(n) / time.Duration(count))))
		return m
	}
}

// askEvery is how often the end of the work is asked for: each question is work of the gateway
// that no complaint is to blame for.
const askEvery = 500 * time.Millisecond

// settled waits until no report waits to be worked on.
func (n node) settled(t *testing.T) {
	t.Helper()
	var last time.Time
	world.Await(t, "all reports are worked on", pick(30*time.Minute, 2*time.Minute), func() bool {
		if time.Since(last) < askEvery {
			return false
		}
		last = time.Now()
		return !n.waiting()
	})
}

// after checks what the floods left behind: all is kept, one line shows most of it, no account
// has a measure, and the normal mail is where it belongs.
func (n node) after(t *testing.T, s shape, complaints int) {
	t.Helper()
	kept, folds, cases := 0, map[string]int{}, map[string]bool{}
	for after := ""; ; {
		var page intakecalls.Page
		n.Call("complaint.list", intakecalls.Query{Limit: 1000, After: after}, &page)
		for _, c := range page.Complaints {
			kept++
			if c.Work.Fold != "" {
				folds[c.Work.Fold]++
			}
			for _, id := range c.Work.Cases {
				cases[id] = true
			}
			if c.Work.Proof.Votes > 0 || c.Work.Trust > 0 {
				t.Errorf("a forged complaint counts: %+v", c.Work)
			}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if kept != complaints {
		t.Errorf("%d of %d complaints are kept", kept, complaints)
	}
	most := 0
	for _, c := range folds {
		most += c
	}
	t.Logf("%d complaints are kept, %d of them in %d lines of floods, %d cases in all", kept, most, len(folds), len(cases))
	var measures calls.MeasurePage
	n.Call("measure.list", calls.MeasureList{All: true, Limit: 100}, &measures)
	if len(measures.Measures) > 0 {
		t.Errorf("%d measures were taken: %+v", len(measures.Measures), measures.Measures[0])
	}
	if rep := n.balance(t); !rep.OK() {
		t.Errorf("%s", rep)
	}
}

func (n node) balance(t *testing.T) (rep ledger.Report) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for rep = n.Book.Report(n.Kept()...); !rep.OK() && ctx.Err() == nil; rep = n.Book.Report(n.Kept()...) {
		<-time.After(200 * time.Millisecond)
	}
	return rep
}
