package blocklist_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/internal/dns"
	"postern/internal/mailtest"
)

// F1: every answer of the DNS takes a second and more (a fifth of what is feared, as is the
// budget): all stages of a message together keep to its budget, nothing is found, nothing is
// refused, and the ledger names every list.
func TestF1SlowListsKeepToTheBudget(t *testing.T) {
	mailtest.Steady(t, 100*time.Millisecond, func(t testing.TB, scale time.Duration) {
		d := newDrill(t, scale*5*time.Second)
		d.lists.Test(t.Context())
		budget := scale * 1600 * time.Millisecond
		d.pipe.Lookups = func() *dns.Budget { return dns.NewBudget(100, budget) }
		for _, z := range drillZones {
			if err := d.server.Set("*."+z, "A 127.0.0.2", fmt.Sprintf("!delay %s", scale*2*time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				v := d.judge(fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("a@d%d.test", i), fmt.Sprintf("l%d.test", i))
				if v.Action == filter.Reject || len(v.Failures) != 3 {
					t.Errorf("%+v", v)
				}
				for i, list := range []string{"bl", "dbl", "uri"} {
					if v.Failures[i].Reason != list+" was cut short (DNS_BUDGET)" {
						t.Errorf("%+v", v.Failures[i])
					}
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took > budget+scale*time.Second {
			t.Errorf("20 messages side by side took %v", took)
		}
	})
}

// F2: with every name server silent nothing is refused, goroutines do not pile up, and mail
// that comes later does not wait at all.
func TestF2NoServerAnswersTheLists(t *testing.T) {
	mailtest.Steady(t, 20*time.Millisecond, func(t testing.TB, scale time.Duration) {
		d := newDrill(t, scale*100*time.Millisecond)
		d.lists.Test(t.Context())
		d.server.SetSilent(true)
		before := runtime.NumGoroutine()
		for i := range 30 {
			if v := d.judge(fmt.Sprintf("198.51.100.%d", i+1), fmt.Sprintf("a@d%d.test", i), fmt.Sprintf("l%d.test", i)); v.Action == filter.Reject || len(v.Failures) == 0 {
				t.Errorf("%+v", v)
			}
		}
		begin := time.Now()
		v := d.judge("198.51.100.200", "a@late.test", "late.test")
		if took := time.Since(begin); took > scale*50*time.Millisecond || len(v.Failures) != 3 {
			t.Errorf("%v %+v", took, v)
		}
		d.lists.Test(t.Context())
		for _, h := range d.lists.Health() {
			if h.On {
				t.Errorf("%+v", h)
			}
		}
		if n := runtime.NumGoroutine(); n > before+20 {
			t.Errorf("%d goroutines, %d before", n, before)
		}
	})
}

// F3: SERVFAIL and REFUSED are no answer, never a listing.
func TestF3FailingServersListNobody(t *testing.T) {
	for _, fault := range []string{"!servfail", "!refused"} {
		d := newDrill(t, 100*time.Millisecond)
		d.lists.Test(t.Context())
		d.turn(fault)
		v := d.judge("192.0.2.9", "a@spam.test", "spam.test")
		if v.Action != filter.Accept || len(v.Failures) != 3 || v.Score > 0 {
			t.Errorf("%s: %+v", fault, v)
		}
		for i, list := range []string{"bl", "dbl", "uri"} {
			if want := list + " did not answer: the name server answered "; !strings.HasPrefix(v.Failures[i].Reason, want) {
				t.Errorf("%s: %+v", fault, v.Failures[i])
			}
		}
	}
}
