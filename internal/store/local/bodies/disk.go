// Package bodies keeps message bodies as compressed files named by the SHA-256 of their raw
// bytes, so that a body held for many recipients is stored once. Rows that name a body are
// the caller's; the caller holds Lock while file and row change together.
package bodies

import (
	"io/fs"
	"os"
)

// File is a file being written.
type File interface {
	Write(p []byte) (int, error)
	Sync() error
	Close() error
	Name() string
}

// Disk is what this room asks of the file system: the seam where tests break it.
type Disk interface {
	CreateTemp(dir, pattern string) (File, error) // mode 0600
	Rename(from, to string) error
	SyncDir(dir string) error
	Remove(name string) error
	Open(name string) (fs.File, error)
	ReadDir(dir string) ([]fs.DirEntry, error)
	Mkdir(dir string) error // mode 0700; an existing folder is no error
}

// OS is the real file system.
type OS struct{}

// CreateTemp makes a new file in dir with a name made from pattern.
func (OS) CreateTemp(dir, pattern string) (File, error) { return os.CreateTemp(dir, pattern) }

// Rename moves a file within one file system.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove removes a file.
func (OS) Remove(name string) error { return os.Remove(name) }

// Open opens a file for reading.
func (OS) Open(name string) (fs.File, error) { return os.Open(name) }

// ReadDir lists a folder.
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
