package guard

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Statfs asks the kernel what dir is on.
func Statfs(dir string) (FS, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return FS{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	fs := FS{Magic: int64(s.Type)} //nolint:unconvert // int32 on some machines
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fs, nil // without /proc the magic number alone decides
	}
	defer f.Close()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	fs.Type = mountType(f, dir)
	return fs, nil
}

// mountType finds the type of the mount that dir is on: the last one with the longest mount
// point above it, proc(5).
func mountType(mountinfo io.Reader, dir string) string {
	var kind, best string
	for lines := bufio.NewScanner(mountinfo); lines.Scan(); {
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields, types := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(types) == 0 {
			continue
		}
		point := unescape(fields[4])
		if above(point, dir) && len(point) >= len(best) {
			kind, best = types[0], point
		}
	}
	return kind
}

func above(point, dir string) bool {
	return point == "/" || point == dir || strings.HasPrefix(dir, point+"/")
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}
