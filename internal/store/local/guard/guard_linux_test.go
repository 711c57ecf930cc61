package guard

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNetwork(t *testing.T) {
	for _, c := range []struct {
		fs      FS
		refused bool
	}{
		{FS{0xef53, "ext4"}, false},
		{FS{0x01021994, "tmpfs"}, false},
		{FS{0x58465342, "xfs"}, false},
		{FS{0x794c7630, "overlay"}, false},
		{FS{0x6969, "nfs4"}, true},
		{FS{0x517b, ""}, true},
		{FS{0xff534d42, "cifs"}, true},
		{FS{-11317950, "cifs"}, true}, // the same in 32 bits
		{FS{0xfe534d42, "smb3"}, true},
		{FS{0x01021997, "9p"}, true},
		{FS{0x00c36400, "ceph"}, true},
		{FS{0x65735546, "fuse.sshfs"}, true},
		{FS{0x65735546, "fuse.glusterfs"}, true},
		{FS{0x65735546, "fuse.S3FS"}, true},
		{FS{0x65735546, "fuse.lazyfs"}, false},
		{FS{0x65735546, "fuseblk"}, false},
		{FS{0x65735546, ""}, false},
	} {
		err := Network("/state", c.fs)
		var ne *NetworkError
		if errors.As(err, &ne) != c.refused {
			t.Errorf("%+v: %v", c.fs, err)
		}
		if err != nil && !strings.Contains(err.Error(), "/state") {
			t.Errorf("the error does not name the folder: %v", err)
		}
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Take(path)
	var locked *LockedError
	if !errors.As(err, &locked) || !strings.HasPrefix(locked.Holder, "process ") || !strings.Contains(err.Error(), path) {
		t.Fatalf("the second: %v", err)
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := Take(path)
	if err != nil {
		t.Fatalf("after Release: %v", err)
	}
	again.Release()
	if _, err := Take(filepath.Join(path, "none")); err == nil || errors.As(err, &locked) {
		t.Errorf("no folder: %v", err)
	}
}

func TestMountType(t *testing.T) {
	const info = `22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /var/lib rw - xfs /dev/sdb rw
41 40 0:36 / /var/lib/my\040state rw - fuse.sshfs host: rw
42 40 0:37 / /var/lib/post rw - nfs4 host:/ rw
nonsense
43 40 0:38 / /var/lib rw - btrfs /dev/sdc rw
`
	for dir, want := range map[string]string{
		"/etc": "ext4", "/var/lib": "btrfs", "/var/lib/postern": "btrfs", "/var/lib/post/x": "nfs4", "/var/lib/my state/x": "fuse.sshfs", "/var/library": "ext4",
	} {
		if got := mountType(strings.NewReader(info), dir); got != want {
			t.Errorf("%s is on %q, want %q", dir, got, want)
		}
	}
}

func TestStatfs(t *testing.T) {
	fs, err := Statfs(t.TempDir())
	if err != nil || fs.Magic == 0 || fs.Type == "" {
		t.Errorf("%+v, %v", fs, err)
	}
	if _, err := Statfs(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
