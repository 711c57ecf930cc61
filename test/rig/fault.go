package rig

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/internal/mailtest/ledger"
	"postern/internal/record"
	"postern/test/world"
)

// Fault is something that breaks around the gateway and heals.
type Fault struct {
	Name        string
	Break, Heal func()
	Brief       bool // healed at once
	// Well reports whether an answer shows that what was broken works again.
	Well func(m ledger.Message, reply string) bool
}

// Felt is what a load noticed of a fault.
type Felt struct {
	Fault    string
	For      time.Duration // how long it lasted
	Taken    int           // final dots answered 2xx meanwhile
	Put      int           // and 4xx
	Recovery time.Duration // from the end of the fault to the first answer that shows it
}

func (f Felt) String() string {
	return fmt.Sprintf("%s for %.0f s: taken %d, put off %d; works again %.2f s after it", f.Fault, f.For.Seconds(), f.Taken, f.Put, f.Recovery.Seconds())
}

// Ridden is how a load went through faults.
type Ridden struct {
	Result ledger.Result
	Report ledger.Report
	Felt   []Felt
	Late   []string // 4xx and 5xx that came more than a minute after a final dot that reached no server behind
}

// rider watches the answers.
type rider struct {
	mu         sync.Mutex
	taken, put int
	well       func(m ledger.Message, reply string) bool
	back       chan struct{} // closes with the first answer that is well
	late       []string
}

// Beyond is how long anything may take before the final dot reaches a server behind.
const Beyond = time.Minute

func (w *rider) told(m ledger.Message, reply string, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if reply[0] == '2' {
		w.taken++
	} else {
		w.put++
	}
	// The relay's words for a final dot without an answer: only that wait may be longer.
	if wait > Beyond+2*time.Second && reply[0] != '2' && !strings.Contains(reply, "did not answer in time") {
		w.late = append(w.late, fmt.Sprintf("%s after %v: %s", m.ID, wait, reply))
	}
	if w.well != nil && w.well(m, reply) {
		w.well = nil
		close(w.back)
	}
}

func (w *rider) counts() (taken, put int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken, w.put
}

// Ride sends a load while one fault after the other lasts for a time, and balances nothing
// yet: the caller collects what arrived and calls Balance.
func (r *Rig) Ride(t *testing.T, load ledger.Load, lasting time.Duration, faults ...Fault) Ridden {
	t.Helper()
	enough := make(chan struct{})
	w := &rider{}
	load.Until, load.Told, load.Messages = enough, w.told, 1<<30
	var out Ridden
	done := make(chan error, 1)
	go func() {
		var err error
		out.Result, err = load.Run(t.Context())
		done <- err
	}()
	for _, f := range faults {
		out.Felt = append(out.Felt, w.feel(t, f, lasting))
		t.Log(out.Felt[len(out.Felt)-1])
	}
	w.await(t, 50)
	close(enough)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	out.Late = w.late
	return out
}

// await waits until n more messages are taken.
func (w *rider) await(t *testing.T, n int) {
	t.Helper()
	before, _ := w.counts()
	world.Await(t, "mail is taken", 2*time.Minute, func() bool { now, _ := w.counts(); return now >= before+n })
}

func (w *rider) feel(t *testing.T, f Fault, lasting time.Duration) Felt {
	t.Helper()
	w.await(t, 50)
	taken, put := w.counts()
	if f.Brief {
		lasting = 0
	}
	f.Break()
	<-time.After(lasting)
	w.mu.Lock()
	felt := Felt{Fault: f.Name, For: lasting, Taken: w.taken - taken, Put: w.put - put}
	w.mu.Unlock()
	f.Heal()
	start := time.Now()
	back := make(chan struct{})
	w.mu.Lock()
	w.well, w.back = f.Well, back
	w.mu.Unlock()
	select {
	case <-back:
		felt.Recovery = time.Since(start)
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s: two minutes after it nothing works", f.Name)
	}
	return felt
}

// Excuse writes into the book what the gateway itself counted as ambiguous, and returns how
// many copies that are.
func (r *Rig) Excuse() int {
	r.t.Helper()
	n := 0
	for line := range strings.Lines(r.Log()) {
		if !strings.Contains(line, `"ambiguous":true`) {
			continue
		}
		var row struct {
			Msg       string
			MessageID string `json:"message_id"`
			SHA256    string
			To        json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			continue
		}
		if row.Msg == "a release may have arrived twice" {
			n += r.excuseRelease(row.SHA256, row.To)
		}
		var fates []record.Fate
		if row.Msg != "message" || json.Unmarshal(row.To, &fates) != nil {
			continue
		}
		id, _, _ := strings.Cut(strings.Trim(row.MessageID, "<>"), "@")
		for _, to := range fates {
			if to.Ambiguous {
				r.Book.Excuse(id, to.Address)
				n++
			}
		}
	}
	return n
}

// excuseRelease excuses one attempt of a release.
func (r *Rig) excuseRelease(sha256 string, to json.RawMessage) int {
	var addrs []string
	if json.Unmarshal(to, &addrs) != nil {
		return 0
	}
	for _, a := range addrs {
		r.Book.ExcuseCopy(ledger.Copy{SHA256: sha256, Recipient: a})
	}
	return len(addrs)
}
