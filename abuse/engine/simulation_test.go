package engine_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
	"postern/abuse/signal"
)

// abuser is one line of testdata/abusers.csv.
type abuser struct {
	kind                                                  string
	start, age, hourly, perMessage, spam, dead, countries int

	account string
	carry   float64
	held    time.Duration // from its start; 0 = not yet
}

func readAbusers(t *testing.T) (out []*abuser) {
	t.Helper()
	text, err := os.ReadFile("testdata/abusers.csv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		a := &abuser{}
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), ",")
		if _, err := fmt.Sscanf(rest, "%d,%d,%d,%d,%d,%d,%d", &a.start, &a.age, &a.hourly, &a.perMessage, &a.spam, &a.dead, &a.countries); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		a.kind = kind
		a.account = fmt.Sprintf("user@abuser%d.example", len(out))
		out = append(out, a)
	}
	return out
}

// population is what honest accounts send.
type population struct {
	*world
	r *rand.Rand
	n int // accounts
}

func (p *population) name(i int) string { return fmt.Sprintf("u%d@tenant%d.example", i, i/10) }

// kind says what an account is: of a hundred one sends newsletters, two invoices, one writes to
// old lists with many dead addresses, one writes what our checks like to call spam.
func (p *population) kind(i int) string {
	switch i % 100 {
	case 1:
		return "newsletter"
	case 2, 3:
		return "invoices"
	case 4:
		return "dead list"
	case 5:
		return "suspicious"
	}
	return "plain"
}

// day sends what one account sends on a day, at times of it.
func (p *population) day(i, day int, midnight time.Time) {
	name := p.name(i)
	at := func() time.Time { return midnight.Add(8*time.Hour + time.Duration(p.r.IntN(10*3600))*time.Second) }
	known := func(k int) string { return fmt.Sprintf("k%d.%d@provider%d.example", i, k, k%5) }
	switch p.kind(i) {
	case "newsletter":
		if day%7 == i/100%7 { // weekly, 600 readers, some new and some gone
			when := at()
			for k := 0; k < 600; k += 100 {
				p.send(when.Add(time.Duration(k)*100*time.Millisecond), name, 1, 100, func(j int) string { return known(k + j + day) }, false, func(j int) bool { return j%40 == 0 })
			}
		}
	case "invoices":
		if day%28 == i/100%28 || day%28 == 0 {
			when := at()
			for k := range 300 {
				p.send(when.Add(time.Duration(k)*time.Second), name, 1, 1, func(int) string { return known(k) }, false, nil)
			}
		}
	case "dead list":
		if day%7 == i/100%7 {
			p.send(at(), name, 1, 90, known, false, func(j int) bool { return j%3 == 0 })
		}
	case "suspicious":
		for range 4 {
			p.send(at(), name, 1, 1, func(int) string { return known(p.r.IntN(30)) }, p.r.IntN(5) == 0, nil)
		}
	}
	if p.r.IntN(100) < 60 {
		p.send(at(), name, 1+p.r.IntN(2), 1+p.r.IntN(3), func(int) string { return known(1000 + p.r.IntN(200)) }, p.r.IntN(500) == 0, nil)
	}
}

// minute sends what an abuser sends in a minute.
func (a *abuser) minute(w *world, r *rand.Rand, at time.Time) {
	if w.Level(a.account) >= abuse.M3 {
		return
	}
	for a.carry += float64(a.hourly) / 60; a.carry >= float64(a.perMessage); a.carry -= float64(a.perMessage) {
		w.send(at.Add(time.Duration(r.IntN(60))*time.Second), a.account, 1+r.IntN(a.countries), a.perMessage, func(i int) string {
			return fmt.Sprintf("%x@victim%d.example", r.Uint64(), i)
		}, r.IntN(100) < a.spam, func(int) bool { return r.IntN(100) < a.dead })
	}
}

// TestSimulation has honest accounts and the abusers of the file before the engine, under ten
// thousand forged complaints. POSTERN_ABUSE_ACCOUNTS=30000 is the whole.
func TestSimulation(t *testing.T) {
	n, forged, seed := 2000, 1000, uint64(20261122)
	if s := os.Getenv("POSTERN_ABUSE_ACCOUNTS"); s != "" {
		if _, err := fmt.Sscan(s, &n); err != nil {
			t.Fatal(err)
		}
		forged = 10_000
	}
	if s := os.Getenv("POSTERN_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &seed); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t, func(p *measure.Parts) { // nobody reads that many lines
		p.Audit = func(context.Context, string, string, string, any, any, string) error { return nil }
	})
	r := rand.New(rand.NewPCG(seed, 1))
	p := &population{w, r, n}
	abusers := readAbusers(t)
	if n < 30_000 { // the breaker allows 5 of 1000 an hour: the short form has fewer of each
		var some []*abuser
		for i, a := range abusers {
			if i%25 == 0 {
				some = append(some, a)
			}
		}
		abusers = some
	}
	begin := w.Now
	for day := range 28 { // what was before
		midnight := begin.AddDate(0, 0, day-28)
		for i := range n {
			p.day(i, day, midnight)
		}
		for _, a := range abusers {
			if day >= 28-a.age && r.IntN(2) == 0 {
				w.send(midnight.Add(10*time.Hour), a.account, 1, 2, func(i int) string { return fmt.Sprintf("friend%d@friends.example", i) }, false, nil)
			}
		}
		w.step()
	}
	worst := p.run(abusers, forged)
	report(t, p, abusers, worst, seed, forged)
}

// run is the day: mail in order of time, abusers minute by minute, complaints over the first
// ten minutes of the second hour.
func (p *population) run(abusers []*abuser, forged int) (worst map[string]abuse.Level) {
	w, begin := p.world, p.Now
	honest := &sendLog{}
	live := w.log
	w.log = honest
	for i := range p.n {
		p.day(i, 28, begin)
	}
	w.log = live
	byMinute := map[int][]int{}
	for i, row := range honest.rows {
		m := int(row.At.Sub(begin) / time.Minute)
		byMinute[m] = append(byMinute[m], i)
	}
	worst = map[string]abuse.Level{}
	for minute := range 24 * 60 {
		at := begin.Add(time.Duration(minute) * time.Minute)
		for _, i := range byMinute[minute] {
			w.log.rows = append(w.log.rows, honest.rows[i])
		}
		for _, a := range abusers {
			if minute >= a.start {
				a.minute(w, p.r, at)
			}
		}
		if minute >= 600 && minute < 610 {
			p.complain(forged/10, minute)
		}
		w.Now = at.Add(time.Minute)
		w.step()
		if minute%5 == 0 {
			if err := w.Desk.Tend(w.T.Context()); err != nil {
				w.T.Fatal(err)
			}
		}
		for _, acc := range w.Accounts.Known() {
			worst[acc.Name] = max(worst[acc.Name], acc.Effective())
		}
		for _, a := range abusers {
			if a.held == 0 && w.Level(a.account) >= abuse.M2 {
				a.held = w.Now.Sub(begin.Add(time.Duration(a.start) * time.Minute))
			}
		}
	}
	return worst
}

// complain forges complaints about 200 accounts: none is proved, so none has a vote. Some
// readers of newsletters complain as well, and theirs count.
func (p *population) complain(n, minute int) {
	for i := range n {
		account := p.name(i % 200)
		weight, _ := signal.Weigh("abuse", 0)
		s := signal.Signal{ID: fmt.Sprintf("forged-%d-%d", minute, i), Family: signal.Complaints, Rule: "complaint", Account: account, At: p.Now, Weight: weight, Provider: "provider0.example", SentAt: p.Now.Add(-time.Hour)}
		if p.kind(i%200) == "newsletter" && i < 200 {
			s.Votes, s.Weight, s.Copy = 100, 10, s.ID
		}
		if err := p.signals.Add(p.T.Context(), s); err != nil {
			p.T.Fatal(err)
		}
	}
}

func report(t *testing.T, p *population, abusers []*abuser, worst map[string]abuse.Level, seed uint64, forged int) {
	above, throttled := 0, 0
	guilty := map[string]bool{}
	for _, a := range abusers {
		guilty[a.account] = true
	}
	for name, l := range worst {
		switch {
		case guilty[name]:
		case l > abuse.M1:
			above++
			t.Errorf("%s (%s) came to %s: %s", name, "innocent", l, p.Accounts.Force(name).Reason)
		case l == abuse.M1:
			throttled++
		}
	}
	in := map[string]int{}
	all := map[string]int{}
	for _, a := range abusers {
		all[a.kind]++
		limit := 10 * time.Minute
		if a.kind != "loud" {
			limit = 24 * time.Hour
		}
		switch {
		case a.held > 0 && a.held <= limit:
			in[a.kind]++
		case a.kind != "loud" && len(p.cases.found[a.account]) > 0:
			in[a.kind+" as a case"]++
		default:
			t.Logf("%s %s %+v: held after %s, %d signals", a.kind, a.account, *a, a.held, len(p.profiles.Judge(a.account, p.Now)))
		}
	}
	alerts := map[string]int{}
	for key := range p.raised {
		kind, _, _ := strings.Cut(key, ":")
		alerts[kind]++
	}
	var mem runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&mem)
	t.Logf("seed %d: %d honest accounts, %d forged complaints, %d profiles, heap with the send log in memory %d MB: %d innocents above M1, %d throttled; held in time %v of %v; alerts %v",
		seed, p.n, forged, p.profiles.Accounts(), mem.HeapAlloc>>20, above, throttled, in, all, alerts)
	if in["loud"]*100 < all["loud"]*95 {
		t.Errorf("%d of %d loud ones were held within ten minutes", in["loud"], all["loud"])
	}
	for _, kind := range []string{"slow", "new"} {
		if in[kind]+in[kind+" as a case"] < all[kind] {
			t.Errorf("%s: %v of %d", kind, in, all[kind])
		}
	}
}
