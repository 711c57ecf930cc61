package nodes_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/smtp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/rig"
	"postern/test/world"
)

// TestJournalDiskFull takes the room of a node's journal away: mail that must be held comes again,
// all other flows, and with room all is as before, without a restart.
func TestJournalDiskFull(t *testing.T) {
	world.NeedRoot(t)
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	f := rig.NewFleet(t, at(single(t).Addr), rig.Options{Behind: b.Addr()})
	r := f.Nodes[0]
	dir := filepath.Join(r.State, "redis", "journal")
	must(t, os.MkdirAll(dir, 0o700))
	if err := syscall.Mount("postern-test", dir, "tmpfs", 0, "size=8m,mode=700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	t.Cleanup(r.Kill)
	f.Start()
	back(t, "at first", r)
	before := len(r.Holds())
	for range 2 {
		filler := filepath.Join(dir, "filler")
		out, err := os.Create(filler)
		must(t, err)
		for size := 1 << 20; size > 0; size /= 2 {
			for err = nil; err == nil; {
				_, err = out.Write(make([]byte, size))
			}
		}
		must(t, out.Close())
		for range 5 {
			away(t, "the journal's disk is full", r)
		}
		must(t, os.Remove(filler))
		back(t, "room again", r)
		before++
	}
	// The last page of the journal may take a hold and not that it is confirmed: it was put off,
	// stands all the same, and is found when its message comes again. One for each full disk.
	held := len(r.Holds())
	if held < before || held > before+2 {
		t.Errorf("%d are held, want %d, and at most one more for each time the disk was full", held, before)
	}
	must(t, r.Stop())
	r.Start()
	r.Ready()
	if n, bad := r.Verify(); n != held || len(bad) > 0 {
		t.Errorf("%d holds after a restart, want %d; damaged %v", n, held, bad)
	}
}

// TestStoreFullInABody lets the store run full in the middle of a body that takes several round
// trips: nothing of it stays, and it is held once there is room.
func TestStoreFullInABody(t *testing.T) {
	s := single(t)
	f, _ := fleet(t, at(s.Addr), 1, rig.Options{})
	r := f.Nodes[0]
	back(t, "at first", r)
	random := make([]byte, 6<<20)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	text := base64.StdEncoding.EncodeToString(random)
	var lines strings.Builder
	for i := 0; i < len(text); i += 76 {
		lines.WriteString(text[i:min(i+76, len(text))] + "\r\n")
	}
	large := fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: large of the load, dots\r\nDate: %s\r\nMessage-ID: <large@load.example>\r\n\r\n%s",
		rig.From, rig.Ada, time.Now().Format(time.RFC1123Z), lines.String())
	used := func() int {
		_, rest, _ := strings.Cut(admin(t, s, "INFO", "memory"), "used_memory:")
		n, err := strconv.Atoi(strings.TrimSpace(rest[:strings.IndexByte(rest, '\n')]))
		must(t, err)
		return n
	}
	keys, before := admin(t, s, "DBSIZE"), used()
	admin(t, s, "CONFIG", "SET", "maxmemory", before+3<<20)
	hold := func() error { return smtp.SendMail(r.Addr, nil, rig.From, []string{rig.Ada}, large) }
	for range 2 {
		if err := hold(); err == nil || !strings.HasPrefix(err.Error(), "451") {
			t.Errorf("the store is full in the middle of it: %v", err)
		}
		must(t, clean(r))
	}
	world.Await(t, "nothing of it stays", 20*time.Second, func() bool { return used() < before+1<<20 })
	t.Logf("%s keys before, %s after, %d kB more", keys, admin(t, s, "DBSIZE"), (used()-before)>>10)
	admin(t, s, "CONFIG", "SET", "maxmemory", 0)
	world.Await(t, "it is held", time.Minute, func() bool { return hold() == nil })
	if n, bad := r.Verify(); n != 2 || len(bad) > 0 {
		t.Errorf("%d holds, damaged %v", n, bad)
	}
}
