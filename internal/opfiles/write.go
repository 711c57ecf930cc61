package opfiles

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"postern/internal/said"
)

// ChangedError says that a file is not the one that a change was made to.
type ChangedError struct{ Now File }

func (e *ChangedError) Error() string { return ErrChanged.Error() }

// Unwrap returns ErrChanged.
func (e *ChangedError) Unwrap() error { return ErrChanged }

// Writable reports whether files of a folder can be replaced by this process.
func Writable(dir string) bool { return syscall.Access(dir, 2) == nil }

// Write replaces the text of a file whose hash is base, or makes a new one where base is "".
// After it returns, the new text is on the disk; a crash leaves the old one or the new one.
func (s *Shelf) Write(id, base, text string) (before, after File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, name, old, err := s.change(id, base)
	if err != nil {
		return old, File{}, err
	}
	if len(text) > MaxText {
		return old, File{}, said.Errorf("file.the-text-has-octets-at-most-are", "%w: the text has %d octets; at most %d are written here", "kind", ErrInvalid, "n", len(text), "most", MaxText)
	}
	path := filepath.Join(f.Dir, name)
	next := filepath.Join(f.Dir, "."+name+".new")
	if err := prepare(next, path, text); err != nil {
		_ = os.Remove(next)
		return old, File{}, err
	}
	if _, _, again, err := s.change(id, base); err != nil {
		_ = os.Remove(next)
		return again, File{}, err
	}
	if err := errors.Join(os.Rename(next, path), syncDir(f.Dir)); err != nil {
		return old, File{}, err
	}
	after, err = f.read(name)
	return old, after, err
}

// Remove takes away a file whose hash is base.
func (s *Shelf) Remove(id, base string) (before File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, name, old, err := s.change(id, base)
	switch {
	case err != nil:
		return old, err
	case old.Hash == "":
		return old, ErrNotFound
	case f.Only != "":
		return old, ErrReadOnly
	}
	return old, errors.Join(os.Remove(filepath.Join(f.Dir, name)), syncDir(f.Dir))
}

// change looks whether a file may be changed, and is the one that is meant.
func (s *Shelf) change(id, base string) (Folder, string, File, error) {
	f, name, err := s.Find(id)
	if err != nil {
		return f, name, File{}, err
	}
	old, err := f.read(name)
	switch {
	case errors.Is(err, ErrNotFound):
		old = File{ID: id, Kind: f.Kind, Name: name}
		if f.FS != nil || f.ReadOnly || !Writable(f.Dir) {
			return f, name, old, ErrReadOnly
		}
	case err != nil:
		return f, name, old, err
	case old.ReadOnly != "":
		return f, name, old, ErrReadOnly
	}
	if old.Hash != base {
		return f, name, old, &ChangedError{Now: old}
	}
	return f, name, old, nil
}

// prepare writes the new file beside the old one, as readable as that one and, where we may,
// its owner's.
func prepare(next, like, text string) error {
	mode, uid, gid := fs.FileMode(0o644), -1, -1
	if info, err := os.Lstat(like); err == nil {
		mode = info.Mode().Perm()
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(st.Uid), int(st.Gid)
		}
	}
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.WriteString(text)
	if uid >= 0 {
		_ = out.Chown(uid, gid) // only root gives files away; then it is ours, as readable as before
	}
	return errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
