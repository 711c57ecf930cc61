package segment

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// File is a file of the journal that is being written.
type File interface {
	io.Writer
	io.ReaderAt
	Sync() error
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
	Close() error
	Name() string
}

// Reader is a file of the journal that is read.
type Reader interface {
	io.ReaderAt
	io.Closer
	Stat() (fs.FileInfo, error)
}

// Disk is what the journal asks of the file system: the seam where tests break it.
type Disk interface {
	Create(name string) (File, error) // mode 0600; a name that is there is an error
	CreateTemp(dir, pattern string) (File, error)
	Edit(name string) (File, error) // to cut a torn end
	Open(name string) (Reader, error)
	Rename(from, to string) error
	Remove(name string) error
	ReadDir(dir string) ([]fs.DirEntry, error)
	Mkdir(dir string) error // mode 0700; an existing folder is no error
	SyncDir(dir string) error
}

// OS is the real file system.
type OS struct{}

// Create makes a file that was not there.
func (OS) Create(name string) (File, error) {
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// CreateTemp makes a new file in dir with a name made from pattern.
func (OS) CreateTemp(dir, pattern string) (File, error) { return os.CreateTemp(dir, pattern) }

// Edit opens a file to change it.
func (OS) Edit(name string) (File, error) { return os.OpenFile(name, os.O_RDWR, 0) }

// Open opens a file for reading.
func (OS) Open(name string) (Reader, error) { return os.Open(name) }

// Rename moves a file within the folder.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// ReadDir lists a folder in the order of its names.
func (OS) ReadDir(dir string) ([]fs.DirEntry, error) { return os.ReadDir(dir) }

// Mkdir makes one folder that only its owner may read.
func (OS) Mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !os.IsExist(err) {
		return err
	}
	return nil
}

// SyncDir makes the names in dir durable.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// NoSpace reports a full disk.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Trim cuts a file durably.
func Trim(d Disk, path string, size int64) error {
	f, err := d.Edit(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// Lock keeps other processes out until the file is closed.
func Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%s is locked: another process has this journal open: %w", path, err), f.Close())
	}
	return f, nil
}
