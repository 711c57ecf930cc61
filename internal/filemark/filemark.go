// Package filemark tells one version of a file from another without reading it, and looks for
// another one now and then.
package filemark

import (
	"context"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Grain is how far the time of a file may lie behind the clock.
const Grain = 10 * time.Millisecond

// Mark is that of one version: of what replaced a file by rename another, also where size and time
// are the same. The zero Mark is that of a file that is not there, or may not be looked at. Marks
// are compared with ==.
type Mark struct {
	inode uint64
	size  int64
	at    int64 // nanoseconds
}

// Of is the mark of a file as it is now; "" is no file.
func Of(path string) Mark {
	if path == "" {
		return Mark{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return Mark{}
	}
	return From(info)
}

// From is the mark of a file that was looked at.
func From(info fs.FileInfo) Mark {
	m := Mark{size: info.Size(), at: info.ModTime().UnixNano()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		m.inode = st.Ino
	}
	return m
}

// Since reports whether the version may be younger than a time of the clock.
func (m Mark) Since(t time.Time) bool {
	return m != Mark{} && m.at > t.Add(-Grain).UnixNano()
}

// Follow calls look every so often until ctx ends, for the first time after one wait.
func Follow(ctx context.Context, every time.Duration, look func()) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		look()
	}
}
