//go:build testclock

package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// clockVar names the file of eight bytes that holds how far the clock of this build is off, in
// nanoseconds. The file is mapped: a look at the clock costs nothing, a jump counts at once.
const clockVar = "POSTERN_TEST_CLOCK"

func clock() (func() time.Time, error) {
	path := os.Getenv(clockVar)
	if path == "" {
		return time.Now, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	off := (*atomic.Int64)(unsafe.Pointer(&b[0]))
	return func() time.Time { return time.Now().Add(time.Duration(off.Load())) }, nil
}
