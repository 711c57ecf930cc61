package mailtest

import (
	"syscall"
	"testing"
	"time"
)

// CPU is how long this process has had a processor: what a machine that stands still, or works
// for others, does not add to.
func CPU(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
