package opfiles

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// With is a folder in which one file has another text, as it would be after a change. Gone:
// the file is not there.
func With(below fs.FS, name, text string, gone bool) fs.FS {
	return changed{below, name, text, gone}
}

type changed struct {
	fs.FS
	name, text string
	gone       bool
}

// Open implements fs.FS.
func (c changed) Open(name string) (fs.File, error) {
	switch {
	case name != c.name:
		return c.FS.Open(name)
	case c.gone:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &opened{c.info(), strings.NewReader(c.text)}, nil
}

// Stat implements fs.StatFS.
func (c changed) Stat(name string) (fs.FileInfo, error) {
	if name != c.name {
		return fs.Stat(c.FS, name)
	}
	if c.gone {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	return c.info(), nil
}

// ReadDir implements fs.ReadDirFS.
func (c changed) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(c.FS, name)
	if err != nil || name != "." {
		return all, err
	}
	all = slices.DeleteFunc(all, func(e fs.DirEntry) bool { return e.Name() == c.name })
	if !c.gone {
		all = append(all, fs.FileInfoToDirEntry(c.info()))
	}
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, nil
}

func (c changed) info() info { return info{c.name, int64(len(c.text))} }

type info struct {
	name string
	size int64
}

func (i info) Name() string     { return i.name }
func (i info) Size() int64      { return i.size }
func (info) Mode() fs.FileMode  { return 0o644 }
func (info) ModTime() time.Time { return time.Time{} }
func (info) IsDir() bool        { return false }
func (info) Sys() any           { return nil }

type opened struct {
	info
	io.Reader
}

func (o *opened) Stat() (fs.FileInfo, error) { return o.info, nil }
func (*opened) Close() error                 { return nil }
