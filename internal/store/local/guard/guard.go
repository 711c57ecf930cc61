// Package guard decides whether a folder may be the local home: it must be on a disk of this
// machine, and no other process may have it open.
package guard

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// FS describes the file system under a folder.
type FS struct {
	Magic int64  // f_type of statfs(2)
	Type  string // type of the mount, as in /proc/self/mountinfo: "ext4", "fuse.sshfs"; "" = unknown
}

// networks are the file systems on which locks, renames or syncs do not mean what a promise
// needs them to mean. Values of linux/magic.h and of the file systems themselves.
var networks = map[int64]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x01021997: "9p",
	0x5346414f: "AFS",
	0x6b414653: "kAFS",
	0x73757245: "Coda",
	0x00c36400: "Ceph",
	0x564c:     "NCP",
	0x0bd00bd0: "Lustre",
	0x786f4256: "vboxsf",
}

const fuseMagic = 0x65735546

// fuseNetworks are FUSE programs that reach over a network.
var fuseNetworks = []string{
	"sshfs", "s3fs", "s3ql", "glusterfs", "rclone", "gcsfuse", "goofys", "geesefs", "ceph-fuse", "juicefs",
	"curlftpfs", "davfs", "smbnetfs", "mfs", "moosefs", "lizardfs", "nfs", "blobfuse", "blobfuse2", "mount-s3",
}

// NetworkError says that a folder is on a network file system.
type NetworkError struct{ Dir, Kind string }

func (e *NetworkError) Error() string {
	return fmt.Sprintf("%s is on a network file system (%s): a sync or a lock there promises nothing, so held mail could be lost; put the state folder on a local disk", e.Dir, e.Kind)
}

// Network returns a *NetworkError when fs is a network file system.
func Network(dir string, fs FS) error {
	// f_type is 32 bits wide on some machines and then negative here.
	magic := fs.Magic & 0xffffffff
	if kind, ok := networks[magic]; ok {
		return &NetworkError{Dir: dir, Kind: kind}
	}
	if magic != fuseMagic && !strings.HasPrefix(fs.Type, "fuse") {
		return nil
	}
	kind := strings.TrimPrefix(strings.TrimPrefix(fs.Type, "fuse"), ".")
	for _, n := range fuseNetworks {
		if strings.EqualFold(kind, n) {
			return &NetworkError{Dir: dir, Kind: fs.Type}
		}
	}
	return nil
}

// LockedError says that another process has the home open.
type LockedError struct{ Path, Holder string }

func (e *LockedError) Error() string {
	who := e.Holder
	if who == "" {
		who = "another process"
	}
	return fmt.Sprintf("%s is locked by %s: Postern is running on this state folder; use its control socket, or stop it first", e.Path, who)
}

// Lock is a held lock.
type Lock struct{ f *os.File }

// Take locks the file at path, made if missing, until Release or the end of the process.
// A *LockedError says who has it.
func Take(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		var who [64]byte
		n, _ := f.ReadAt(who[:], 0) // only for the message; an empty file says nobody
		f.Close()
		return nil, &LockedError{Path: path, Holder: strings.TrimSpace(string(who[:n]))}
	case err != nil:
		return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "process %d\n", os.Getpid())
	}
	return &Lock{f: f}, nil
}

// Release gives the lock up. The file stays: removing it would let two processes lock two
// files of one name.
func (l *Lock) Release() error { return l.f.Close() }
