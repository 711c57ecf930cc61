package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postern/internal/mailtest"
)

// smallDisk mounts a tmpfs for the state.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			_ = syscall.Unmount(dir, syscall.MNT_DETACH)
		}
	})
	return dir
}

// fill writes until the disk is full and returns what makes room again.
func fill(t *testing.T, disk string) func() {
	t.Helper()
	path := filepath.Join(disk, "fill")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := 1 << 20; chunk >= 1; chunk /= 4 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, chunk))
		}
	}
	f.Close()
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func TestFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64m")
	g, b := startBefore(t, mailtest.Script{}, plan{State: disk, More: "limits: {message: 2MB, memory: 16kB}\n"})
	kept, raw := g.hold(t, "ada@example.com", "Before", "hello")
	empty := fill(t, disk)
	for name, raw := range map[string]string{
		"held":  letter("please hold full", "x"),
		"clean": letter("clean", "x"),
		"large": letter("large", strings.Repeat("0123456789abcdef\r\n", 20_000)),
	} {
		if code, text := g.deliver(t, "ada@example.com", raw); code != 452 && code != 451 {
			t.Errorf("%s mail on a full disk: %d %s", name, code, text)
		}
	}
	if n := len(b.Transactions()); n != 0 {
		t.Errorf("%d messages behind", n)
	}
	if out, _, _ := g.Run("quarantine", "show", "--raw", kept.ID); out != raw {
		t.Error("the hold from before cannot be read")
	}
	empty()
	awaitHeld(t, g)
	if all := holds(t, g, "before"); len(all) != 1 || all[0].ID != kept.ID {
		t.Errorf("%d holds from before", len(all))
	}
	if all := holds(t, g, "full"); len(all) != 0 {
		t.Errorf("%d holds of mail that was not taken", len(all))
	}
	if err := g.Stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
}

// With the spool on another disk only what must be held has to wait.
func TestFullQuarantineDiskLetsCleanMailFlow(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "64m")
	b := mailtest.NewBackend(t, mailtest.Script{})
	g := prepare(t, plan{Backend: b.Addr(), State: disk, More: "limits: {message: 2MB, memory: 16kB}\n"})
	spool := filepath.Join(g.Dir, "spool")
	if err := os.Mkdir(spool, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(spool, filepath.Join(disk, "spool")); err != nil {
		t.Fatal(err)
	}
	g.Start()
	g.Ready()
	kept, _ := g.hold(t, "ada@example.com", "Before", "hello")
	empty := fill(t, disk)
	if code, text := g.deliver(t, "ada@example.com", letter("please hold full", strings.Repeat("0123456789abcdef\r\n", 20_000))); code != 451 && code != 452 {
		t.Errorf("mail that must be held: %d %s", code, text)
	}
	g.mustDeliver(t, 250, "ada@example.com", letter("clean", "x"))
	g.mustDeliver(t, 250, "ada@example.com", letter("large", strings.Repeat("0123456789abcdef\r\n", 20_000)))
	if n := len(b.Transactions()); n != 2 {
		t.Errorf("%d messages behind", n)
	}
	g.run(t, 0, "quarantine", "release", kept.ID)
	if n := len(b.WaitTransactions(t, 3)); n != 3 {
		t.Errorf("%d messages behind", n)
	}
	empty()
	awaitHeld(t, g)
	if all := holds(t, g, "full"); len(all) != 0 {
		t.Errorf("%d holds of mail that was not taken", len(all))
	}
}
