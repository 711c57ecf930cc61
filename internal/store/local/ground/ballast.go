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
}

const ballastSize = 1 << 20

func newBallast(dir string) *ballast { return &ballast{path: filepath.Join(dir, "reserve")} }

// hold makes the file if it is not there; without room for it there is none.
func (b *ballast) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if info, err := os.Stat(b.path); err == nil && info.Size() == ballastSize {
		return
	}
	if err := os.WriteFile(b.path, make([]byte, ballastSize), 0o600); err != nil {
		_ = os.Remove(b.path) // a part of it keeps no promise
	}
}

// spend removes the file, and reports whether that made room.
func (b *ballast) spend() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return os.Remove(b.path) == nil
}
