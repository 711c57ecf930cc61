package world

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Clock is the clock of programs that were built with the tag testclock.
type Clock struct {
	t    testing.TB
	path string
	off  time.Duration
}

// NewClock makes a clock that is right.
func NewClock(t testing.TB) *Clock {
	t.Helper()
	c := &Clock{t: t, path: filepath.Join(folder(t, "clock"), "off")}
	c.Set(0)
	return c
}

// Env is what a program must find in its environment.
func (c *Clock) Env() string { return "POSTERN_TEST_CLOCK=" + c.path }

// Set makes the clock differ from that of the machine by so much, at once in all programs.
func (c *Clock) Set(off time.Duration) {
	c.t.Helper()
	c.off = off
	f, err := os.OpenFile(c.path, os.O_WRONLY|os.O_CREATE, 0o644) // not renamed: it is mapped
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(off)), 0); err != nil {
		c.t.Fatal(err)
	}
}

// Move moves it forward.
func (c *Clock) Move(d time.Duration) { c.Set(c.off + d) }

// Now is what it says.
func (c *Clock) Now() time.Time { return time.Now().Add(c.off) }
