package complaint_test

import (
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"postern/abuse/complaint"
)

// What each hostile report costs in processor time and in memory at its peak, for the record:
// run with POSTERN_COSTS=1. Nothing fails here, since a busy machine would decide.
func TestCosts(t *testing.T) {
	if os.Getenv("POSTERN_COSTS") == "" {
		t.Skip("set POSTERN_COSTS=1 for the table")
	}
	for name, raw := range hostile() {
		debug.FreeOSMemory()
		var base runtime.MemStats
		runtime.ReadMemStats(&base)
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			most := uint64(0)
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		parsed := processor(func() { complaint.Parse(raw, complaint.Options{}) })
		viewed := processor(func() { complaint.Safe(raw) })
		close(stop)
		t.Logf("%-20s %6.1f MiB: read %4d ms, viewed %4d ms, %3d MiB at the peak beside the report", name, float64(len(raw))/(1<<20), parsed.Milliseconds(), viewed.Milliseconds(), (max(<-peak, base.HeapAlloc)-base.HeapAlloc)>>20)
	}
}

// processor is the time this process had a processor while f ran.
func processor(f func()) time.Duration {
	var a, b syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &a)
	f()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &b)
	return time.Duration(b.Utime.Nano() + b.Stime.Nano() - a.Utime.Nano() - a.Stime.Nano())
}
