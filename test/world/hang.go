package world

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Need finds a program of a Debian package, or fails the test under CI and skips it
// elsewhere, saying what to install.
func Need(t testing.TB, pkg string, paths ...string) string {
	t.Helper()
	return need(t, pkg, paths...)
}

// NeedRoot is for tests that only root can do.
func NeedRoot(t testing.TB) {
	t.Helper()
	needRoot(t)
}

// Hang stops every process of this Postfix with SIGSTOP: connections are taken by the kernel
// and nobody answers. Go lets them run again.
func (p *Postfix) Hang() { p.signal(syscall.SIGSTOP) }

// Go ends a Hang.
func (p *Postfix) Go() { p.signal(syscall.SIGCONT) }

// signal reaches the master first, so that it starts no more children.
func (p *Postfix) signal(s syscall.Signal) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.Dir, "queue", "pid", "master.pid"))
	if err != nil {
		p.t.Fatal(err)
	}
	master, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := syscall.Kill(master, s); err != nil {
		p.t.Fatal(err)
	}
	for _, pid := range children(p.t, master) {
		_ = syscall.Kill(pid, s) // it may have ended meanwhile
	}
}

// children are the processes whose parent is pid.
func children(t testing.TB, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // ended meanwhile
		}
		// The name in parentheses may hold anything; the state and the parent follow it.
		rest := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if len(rest) < 2 || rest[1] != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			all = append(all, child)
		}
	}
	return all
}

// Drained waits until nothing is in the queue any more.
func (p *Postfix) Drained(within time.Duration) {
	p.t.Helper()
	Await(p.t, "Postfix has delivered its queue", within, func() bool { return p.queued() == 0 })
}

// queued counts the messages in the queue. A file whose name has a dot is one that a stopped
// cleanup was still writing: it was never taken, and Postfix leaves it lying.
func (p *Postfix) queued() int {
	n := 0
	for _, q := range []string{"maildrop", "incoming", "active", "deferred"} {
		_ = filepath.WalkDir(filepath.Join(p.Dir, "queue", q), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && !strings.Contains(d.Name(), ".") {
				n++
			}
			return nil
		})
	}
	return n
}
