package qr

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a helper may take for itself.
const (
	Memory  = 64 << 20 // bytes beyond what it has when it starts
	cpuTime = 60       // seconds of its whole life
	files   = 16
)

// confine takes from this process what reading pictures does not need. An error means that it could
// not give up its system calls; the limits on resources then hold alone.
func confine() error {
	debug.SetMemoryLimit(Memory * 3 / 4)
	has, err := dataSize()
	if err != nil {
		return err
	}
	for _, l := range []struct {
		what int
		most uint64
	}{{unix.RLIMIT_DATA, has + Memory}, {unix.RLIMIT_CPU, cpuTime}, {unix.RLIMIT_NOFILE, files}, {unix.RLIMIT_FSIZE, 0}, {unix.RLIMIT_CORE, 0}} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("qr: a limit on this process: %w", err)
		}
	}
	return silence()
}

// dataSize is how many bytes of memory of its own this process has asked for.
func dataSize() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := bytes.Cut(status, []byte("VmData:"))
	if fields := bytes.Fields(rest); ok && len(fields) > 0 {
		n, err := strconv.ParseUint(string(fields[0]), 10, 64)
		return n << 10, err
	}
	return 0, errors.New("qr: the system does not say how much memory this process has")
}

// allowed are the system calls of a process that computes, reads from one pipe and writes to another.
// No file, socket or program can be opened with them.
var allowed = []uint32{
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLOSE, unix.SYS_MMAP, unix.SYS_MUNMAP, unix.SYS_MPROTECT, unix.SYS_MADVISE, unix.SYS_MREMAP, unix.SYS_BRK,
	unix.SYS_MINCORE, unix.SYS_FUTEX, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_SCHED_YIELD,
	unix.SYS_SCHED_GETAFFINITY, unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_RT_SIGACTION, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_SIGALTSTACK,
	unix.SYS_TGKILL, unix.SYS_GETPID, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP, unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT,
	unix.SYS_EVENTFD2, unix.SYS_FCNTL, unix.SYS_RESTART_SYSCALL, unix.SYS_PRLIMIT64, unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST, unix.SYS_GETRANDOM,
}

// silence refuses this process all other system calls, for good and on all its threads.
func silence() error {
	arch := map[string]uint32{"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64}[runtime.GOARCH]
	if arch == 0 {
		return errors.New("qr: system calls are not known on " + runtime.GOARCH)
	}
	const load, equal, give = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
	filter := []unix.SockFilter{{Code: load, K: 4}, {Code: equal, K: arch, Jt: 1}, {Code: give, K: unix.SECCOMP_RET_KILL_PROCESS}, {Code: load}}
	for _, n := range allowed {
		filter = append(filter, unix.SockFilter{Code: equal, K: n, Jf: 1}, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ALLOW})
	}
	filter = append(filter, unix.SockFilter{Code: give, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)})
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("qr: %w", err)
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, no := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program))); no != 0 { //nolint:gosec // the kernel wants an address
		return fmt.Errorf("qr: system calls cannot be given up: %w", no)
	}
	return nil
}
