package deny

import (
	"os"
	"syscall"
)

// sameOwner gives a file the group of its folder, so that Dovecot may read it.
func sameOwner(f, dir *os.File) error {
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(st.Gid) == os.Getegid() {
		return nil
	}
	return f.Chown(-1, int(st.Gid))
}
