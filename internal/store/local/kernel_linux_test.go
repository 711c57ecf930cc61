package local_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// runChild runs a helper process to its end, which must be a good one.
func runChild(t *testing.T, test, dir string, attr *syscall.SysProcAttr) {
	t.Helper()
	cmd := child(t, test, dir)
	cmd.SysProcAttr = attr
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "child is done") {
		t.Fatalf("helper process: %v\n%s", err, out.String())
	}
	t.Log(strings.TrimSpace(out.String()))
}

// TestDiskFull fills a small file system that only the helper process sees: in a mount
// namespace of its own, and where that takes root, in a user namespace of its own too.
func TestDiskFull(t *testing.T) {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runChild(t, "TestDiskFullChild", t.TempDir(), attr)
}

// TestDiskFullChild does something only as the helper process of TestDiskFull.
func TestDiskFullChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "s")
	h := reopen(t, dir)
	var kept []quarantine.Hold
	var full int
	for i := 0; full < 20 && i < 1000; i++ {
		body := randomBody(200_000 >> (full % 8)) // ever smaller ones, until nothing fits
		got, err := h.Holds().Put(t.Context(), storetest.Hold(i, body), strings.NewReader(body))
		if err == nil {
			err = h.Holds().Confirm(t.Context(), []string{got.ID})
		}
		switch {
		case err == nil:
			kept = append(kept, got)
		case !errors.Is(err, quarantine.ErrFull):
			t.Fatalf("hold %d: %v", i, err)
		default:
			full++
		}
	}
	if full == 0 || len(kept) < 10 {
		t.Fatalf("%d kept, %d refused", len(kept), full)
	}
	if err := h.Degraded(); err != nil {
		t.Errorf("a full disk turned the home read-only: %v", err)
	}
	for _, k := range kept {
		readWhole(t, h, k.ID)
	}
	makeRoom(t, h, kept[:5])
	fillWithRecords(t, h)
	makeRoom(t, h, kept[5:8])
	h.Close()
	h = reopen(t, dir)
	for _, k := range kept[8:] {
		readWhole(t, h, k.ID)
	}
	fmt.Printf("%d kept, %d refused; child is done\n", len(kept), full)
}

// fillWithRecords writes records until none fits. They take nothing of the reserve.
func fillWithRecords(t *testing.T, h *local.Home) {
	t.Helper()
	for i, size := 0, 200_000; size > 100; i++ {
		err := h.Entities().Put(t.Context(), entity.Record{Kind: "case", ID: fmt.Sprint("A-", i), Version: 1, Data: []byte(`"` + strings.Repeat("x", size) + `"`)})
		switch {
		case errors.Is(err, entity.ErrFull):
			size /= 2
		case err != nil:
			t.Fatal(err)
		}
	}
}

// makeRoom ends holds on a full disk, and then there is room for a new one.
func makeRoom(t *testing.T, h *local.Home, holds []quarantine.Hold) {
	t.Helper()
	for _, k := range holds {
		now, err := h.Holds().Get(t.Context(), k.ID)
		if err != nil {
			t.Fatal(err)
		}
		now.State, now.Ended = quarantine.Deleted, &quarantine.Ended{At: now.At}
		if _, err := h.Holds().Change(t.Context(), now); err != nil {
			t.Errorf("a full disk cannot be cleared: %v", err)
		}
	}
	if _, err := h.Holds().Put(t.Context(), storetest.Hold(5000, "room"), strings.NewReader("room")); err != nil {
		t.Errorf("after clearing: %v", err)
	}
}

// TestSyncFails lets every sync of the helper process fail from a moment on, as a dying disk
// does, underneath the database too.
func TestSyncFails(t *testing.T) {
	runChild(t, "TestSyncFailsChild", t.TempDir(), nil)
}

// TestSyncFailsChild does something only as the helper process of TestSyncFails.
func TestSyncFailsChild(t *testing.T) {
	dir := os.Getenv(childEnv)
	if dir == "" {
		return
	}
	h := reopen(t, filepath.Join(dir, "s"))
	before := keepOne(t, h)
	prov, err := h.Holds().Put(t.Context(), storetest.Hold(2, "two"), strings.NewReader("two"))
	if err != nil {
		t.Fatal(err)
	}
	failSyncs(t)
	// No body file is written here: the sync that fails is that of the database.
	if err := h.Holds().Confirm(t.Context(), []string{prov.ID}); !errors.Is(err, quarantine.ErrReadOnly) {
		t.Errorf("Confirm: %v", err)
	}
	if h.Degraded() == nil {
		t.Error("the home still takes writes")
	}
	if err := h.Holds().SetClock(t.Context(), before.At); !errors.Is(err, quarantine.ErrReadOnly) {
		t.Errorf("another write: %v", err)
	}
	readWhole(t, h, before.ID)
	fmt.Println("child is done")
}

// failSyncs makes fsync and fdatasync return EIO in all threads of this process, by a seccomp
// filter (seccomp(2)).
func failSyncs(t *testing.T) {
	t.Helper()
	seccomp := map[string]uintptr{"amd64": 317, "arm64": 277}[runtime.GOARCH]
	if seccomp == 0 {
		t.Fatalf("the number of seccomp(2) on %s is not known to this test", runtime.GOARCH)
	}
	const (
		load, jumpEqual, ret = 0x20, 0x15, 0x06
		allow, errno         = 0x7fff0000, 0x00050000
		noNewPrivs           = 38
		modeFilter, allTasks = 1, 1
	)
	filter := []syscall.SockFilter{
		{Code: load}, // the number of the call
		{Code: jumpEqual, Jt: 2, K: syscall.SYS_FSYNC},
		{Code: jumpEqual, Jt: 1, K: syscall.SYS_FDATASYNC},
		{Code: ret, K: allow},
		{Code: ret, K: errno | uint32(syscall.EIO)},
	}
	prog := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivs, 1, 0, 0, 0, 0); e != 0 {
		t.Fatalf("prctl: %v", e)
	}
	if r, _, e := syscall.RawSyscall(seccomp, modeFilter, allTasks, uintptr(unsafe.Pointer(&prog))); e != 0 || r != 0 {
		t.Fatalf("seccomp: %d %v", r, e)
	}
	runtime.KeepAlive(&filter)
}
