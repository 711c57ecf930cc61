package ledger_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/test/rig"
	"postern/test/world"
)

// smallDisk mounts a file system in memory of 16 MB on dir.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	world.NeedRoot(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("postern-test", dir, "tmpfs", 0, "size=16m,mode=700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// fill takes all room but spare bytes away and returns how it is given back.
func fill(t *testing.T, dir string, spare uint64) (empty func()) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(dir, "filler")
	if err != nil {
		t.Fatal(err)
	}
	free := fs.Bavail * uint64(fs.Bsize)
	_, err = f.Write(make([]byte, max(free, spare)-spare))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(f.Name()); err != nil {
			t.Fatal(err)
		}
	}
}

// volley sends messages, each tried once, and counts the codes of the answers to final dots.
func volley(t *testing.T, r *rig.Rig, n int, message func(n int) ledger.Message) map[string]int {
	t.Helper()
	l := r.Load(0, n)
	l.Parallel, l.Tries, l.Make = 8, 1, message
	var mu sync.Mutex
	codes := map[string]int{}
	l.Told = func(_ ledger.Message, reply string, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		codes[reply[:3]]++
	}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	return codes
}

// bulky makes messages that the rules hold for those under "default" and that do not shrink.
func bulky(seed uint64, to ...string) func(n int) ledger.Message {
	return func(n int) ledger.Message {
		m := ledger.Make(seed, n*8+4, rig.From, to, 600)
		raw := make([]byte, 45<<10)
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		for i := range raw {
			raw[i] = byte(random.Uint32())
		}
		body := bytes.Clone(m.Body)
		for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(raw)), 76) {
			body = append(append(body, line...), "\r\n"...)
		}
		return m.With(body)
	}
}

func clean(seed uint64) func(n int) ledger.Message {
	return func(n int) ledger.Message { return ledger.Make(seed, n*8, rig.From, []string{rig.Lax}, 20<<10) }
}

// The disk with the holds is full: who must be held comes again, all else flows, nothing is
// half there, and with room again all is as before.
func TestDiskOfHoldsFull(t *testing.T) {
	r, state := fullRig(t, true)
	empty := fill(t, state, 3<<20)
	full := volley(t, r, 150, bulky(21, rig.Ada))
	t.Logf("held mail while the disk fills up: %v", full)
	if full["250"] == 0 || full["451"] == 0 || len(full) != 2 {
		t.Errorf("held mail while the disk fills up: %v", full)
	}
	if got := volley(t, r, 50, clean(22)); got["250"] != 50 {
		t.Errorf("clean mail beside a full disk: %v", got)
	}
	if got := volley(t, r, 10, bulky(23, rig.Ada, rig.Lax)); got["451"] == 0 {
		t.Errorf("mail for one who gets it and one for whom it must be held: %v", got)
	}
	afterFull(t, r, empty)
}

// The disk that all of the state is on is full: everybody comes again.
func TestOneDiskFull(t *testing.T) {
	r, state := fullRig(t, false)
	empty := fill(t, state, 3<<20)
	full := volley(t, r, 150, bulky(31, rig.Ada))
	t.Logf("held mail while the disk fills up: %v", full)
	if full["250"] == 0 || full["250"] == 150 || full["550"] > 0 {
		t.Errorf("held mail while the disk fills up: %v", full)
	}
	rest := fill(t, state, 300<<10) // less than two messages
	if got := volley(t, r, 10, clean(32)); len(got) > 0 {
		t.Errorf("mail was let in without room for its body: %v", got)
	}
	afterFull(t, r, func() { empty(); rest() })
}

// fullRig is a running gateway whose state is on a small disk; with apart its spool is on
// another one.
func fullRig(t *testing.T, apart bool) (r *rig.Rig, state string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state = filepath.Join(dir, "state")
	smallDisk(t, state)
	if apart {
		smallDisk(t, filepath.Join(state, "spool"))
	}
	b := mailtest.NewBackend(t, mailtest.Script{})
	r = rig.New(t, rig.Options{Behind: b.Addr(), State: state, Limits: "message: 200kB, "})
	b.Set(r.Behind(mailtest.Script{Mailboxes: rig.Mailboxes()}))
	r.Start()
	r.Ready()
	return r, state
}

// afterFull looks at what a full disk left, makes room and sees everything work again.
func afterFull(t *testing.T, r *rig.Rig, empty func()) {
	t.Helper()
	if f := r.Look(); len(f.Temp)+len(f.Bad) > 0 {
		t.Errorf("on the full disk: temporary %v, damaged %v", f.Temp, f.Bad)
	}
	// A postmaster can make room with the gateway's own means too.
	holds := r.Holds()
	if _, errs, code := r.Run("quarantine", "delete", holds[0].ID, "--note", "room"); code != 0 {
		t.Errorf("deleting a hold on a full disk: exit %d, %s", code, errs)
	}
	gone := ledger.Copy{SHA256: holds[0].SHA256, Recipient: holds[0].To[0]}
	empty()
	if got := volley(t, r, 20, bulky(24, rig.Ada)); got["250"] != 20 {
		t.Errorf("held mail with room again: %v", got)
	}
	if got := volley(t, r, 20, clean(25)); got["250"] != 20 {
		t.Errorf("clean mail with room again: %v", got)
	}
	kept := r.Kept()
	if len(r.Holds()) == len(holds)+19 {
		kept = append(kept, gone)
	}
	rep := r.Book.Report(kept...)
	t.Log(rep)
	if !rep.OK() || rep.Refused > 0 || len(rep.Duplicates)+len(rep.Ambiguous) > 0 {
		t.Error("the book does not balance")
	}
	r.Kill()
	r.Start()
	if n, bad := r.Verify(); n < len(holds)+19 || len(bad) > 0 {
		t.Errorf("%d holds after a restart, damaged %v", n, bad)
	}
	if f := r.Look(); len(f.Temp)+len(f.Bad) > 0 {
		t.Errorf("after a restart: temporary %v, damaged %v", f.Temp, f.Bad)
	}
}
