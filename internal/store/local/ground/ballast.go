package ground

import (
	"os"
	"path/filepath"
	"sync"
)

// ballast is a file that takes room on the disk so that there is some when it is full: ending
// a hold frees its body, yet has to write a row first. Confirming what a server behind has
// already taken for others must not fail for want of a page either.
type ballast struct {
	mu   sync.Mutex
	path string
	held bool
}

const ballastSize = 1 << 20

func newBallast(dir string) *ballast { return &ballast{path: filepath.Join(dir, "reserve")} }

// hold makes the file if it is not there, and reports whether it is now.
func (b *ballast) hold() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		return true
	}
	err := os.WriteFile(b.path, make([]byte, ballastSize), 0o600)
	if b.held = err == nil; !b.held {
		_ = os.Remove(b.path) // a part of it keeps no promise
	}
	return b.held
}

// spend removes the file, and reports whether that made room.
func (b *ballast) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.held
	b.held = false
	return was && b.drop()
}

// drop removes the file, and reports whether it was there.
func (b *ballast) drop() bool { return os.Remove(b.path) == nil }
