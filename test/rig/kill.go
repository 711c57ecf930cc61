package rig

import (
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/test/world"
)

// Crash is a run in which the gateway is killed again and again.
type Crash struct {
	Cycles   int
	Seed     uint64 // of the load and of the moments
	Messages int    // at least, and as many as there is time for
	Postfix  bool   // the server behind is a real one, not a scripted one
}

// Crashed is how it went.
type Crashed struct {
	Result   ledger.Result
	Report   ledger.Report
	Restarts []time.Duration // from the start of the process to its 220
	Temp     int             // temporary files that the kills left and the restarts removed
}

// Run loads the gateway, kills it at random moments, starts it again, and balances the book
// when everything was answered. After each kill no body may be half there, after each start no
// temporary file of before.
func (c Crash) Run(t *testing.T) Crashed {
	clamd := mailtest.StartRealClamd(t, mailtest.ClamdOptions{})
	var out Crashed
	var r *Rig
	var postfix *world.Postfix
	if c.Postfix {
		postfix = world.StartPostfix(t, Mailboxes(), "local_header_rewrite_clients =")
		r = New(t, Options{Behind: postfix.Addr, Clamd: clamd.Endpoint, Limits: "memory: 8kB, "})
	} else {
		b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: Mailboxes()})
		r = New(t, Options{Behind: b.Addr(), Clamd: clamd.Endpoint, Limits: "memory: 8kB, "})
		b.Set(r.Behind(mailtest.Script{Mailboxes: Mailboxes()}))
	}
	r.Start()
	r.Ready()
	c.load(r, &out)
	if postfix != nil {
		r.Collect(postfix)
	}
	out.Report = r.Book.Report(r.Kept()...)
	if _, bad := r.Verify(); len(bad) > 0 {
		t.Errorf("damaged holds: %v", bad)
	}
	if err := r.Stop(); err != nil {
		t.Errorf("the gateway ended with %v", err)
	}
	if f := r.Look(); len(f.Temp)+len(f.Bad) > 0 {
		t.Errorf("left in the state folder: %v, damaged: %v", f.Temp, f.Bad)
	}
	return out
}

// load runs the load and kills the gateway meanwhile.
func (c Crash) load(r *Rig, out *Crashed) {
	enough := make(chan struct{})
	load := r.Load(c.Seed, 1<<30)
	load.Until, load.MaxSize = enough, 100<<10
	var taken atomic.Int64
	load.Told = func(_ ledger.Message, reply string, _ time.Duration) {
		if reply[0] == '2' {
			taken.Add(1)
		}
	}
	done := make(chan error, 1)
	go func() {
		var err error
		out.Result, err = load.Run(r.t.Context())
		done <- err
	}()
	random := rand.New(rand.NewPCG(c.Seed, 1))
	await := func(n int64) {
		r.t.Helper()
		world.Await(r.t, "the gateway takes mail", 5*time.Minute, func() bool { return taken.Load() >= n })
	}
	for range c.Cycles {
		await(taken.Load() + 20)
		<-time.After(time.Duration(random.Int64N(int64(1500 * time.Millisecond))))
		took, temp := r.killOnce()
		out.Restarts = append(out.Restarts, took)
		out.Temp += temp
	}
	await(int64(c.Messages))
	close(enough)
	if err := <-done; err != nil {
		r.t.Fatal(err)
	}
}

// killOnce kills the gateway and starts it again. It returns how long it took to its 220, and
// how many temporary files the kill left behind.
func (r *Rig) killOnce() (time.Duration, int) {
	r.t.Helper()
	r.Kill()
	dead := r.Look()
	if len(dead.Bad) > 0 {
		r.t.Errorf("half files after a kill: %v", dead.Bad)
	}
	start := time.Now()
	greeted := make(chan time.Duration, 1)
	go func() {
		r.Greeting(time.Minute)
		greeted <- time.Since(start)
	}()
	r.Start()
	took := <-greeted
	for _, path := range dead.Temp {
		if _, err := os.Stat(path); err == nil {
			r.t.Errorf("left after a restart: %s", path)
		}
	}
	return took, len(dead.Temp)
}
