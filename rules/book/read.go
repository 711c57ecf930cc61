package book

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postern/internal/strict"
)

// Layer is a folder of rule files. Later layers override earlier ones field by field.
type Layer struct {
	Name string // stands before file names in messages
	FS   fs.FS
}

// maxFiles bounds how many files one folder may hold.
const maxFiles = 1000

// Read reads every *.yaml of the layers and merges them in order. The error is a
// strict.Errors with everything that is wrong.
func Read(layers ...Layer) (*Book, error) {
	m := newMerger()
	hash := sha256.New()
	for i, layer := range layers {
		m.layer(i)
		for _, name := range m.files(layer) {
			src, ok := m.load(layer, name)
			if !ok {
				continue
			}
			fmt.Fprintf(hash, "%d %s %d\n", i, name, len(src))
			hash.Write(src)
			m.file(layer.shown(name), src)
		}
	}
	m.finish()
	if len(m.errs) > 0 {
		m.errs.Sort()
		return nil, m.errs
	}
	m.book.Revision = hex.EncodeToString(hash.Sum(nil)[:6])
	return m.book, nil
}

func (l Layer) shown(name string) string {
	if l.Name == "" {
		return name
	}
	return path.Join(l.Name, name)
}

// files are the names of a layer's rule files, sorted.
func (m *merger) files(l Layer) []string {
	entries, err := fs.ReadDir(l.FS, ".")
	if err != nil {
		m.fail(strict.Place{File: l.shown(".")}, "rule.unread", "%s", "why", plainly(err))
		return nil
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, "."):
		case strings.HasSuffix(name, ".yml"):
			m.fail(strict.Place{File: l.shown(name)}, "rule.rule-files-end-in-yaml-this-one", "rule files end in .yaml, this one would be passed over")
		case strings.HasSuffix(name, ".yaml"):
			names = append(names, name)
		}
	}
	if len(names) > maxFiles {
		m.fail(strict.Place{File: l.shown(".")}, "rule.has-rule-files-at-most-are-read", "has %d rule files; at most %d are read", "n", len(names), "most", maxFiles)
		return nil
	}
	slices.Sort(names)
	return names
}

// load reads one file whole, after a look at its size.
func (m *merger) load(l Layer, name string) ([]byte, bool) {
	at := strict.Place{File: l.shown(name)}
	info, err := fs.Stat(l.FS, name)
	switch {
	case err != nil:
		m.fail(at, "rule.unread", "%s", "why", plainly(err))
		return nil, false
	case !info.Mode().IsRegular():
		m.fail(at, "rule.is-no-regular-file", "is no regular file")
		return nil, false
	case info.Size() > strict.MaxBytes:
		m.fail(at, "rule.the-file-has-bytes-at-most-are", "the file has %d bytes; at most %d are read", "size", info.Size(), "most", strict.MaxBytes)
		return nil, false
	}
	f, err := l.FS.Open(name)
	if err != nil {
		m.fail(at, "rule.unread", "%s", "why", plainly(err))
		return nil, false
	}
	src, err := io.ReadAll(io.LimitReader(f, strict.MaxBytes+1))
	if err = errors.Join(err, f.Close()); err != nil {
		m.fail(at, "rule.unread", "%s", "why", plainly(err))
		return nil, false
	}
	return src, true
}

// plainly is the error of a file operation without the path, which stands before it anyway.
func plainly(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Sprintf("cannot be read: %v", p.Err)
	}
	return fmt.Sprintf("cannot be read: %v", err)
}
