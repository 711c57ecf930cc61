package bodies

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Notes stand beside a body, a line for each row that names it, so that rows can be made
// again when their database is lost. They are not synced: no promise rests on them.

func (b *Bodies) notePath(sha string) string {
	return strings.TrimSuffix(b.Path(sha), suffix) + notes
}

// Note adds a line to the notes of a body. The caller holds Lock(sha).
func (b *Bodies) Note(sha string, line []byte) error {
	f, err := os.OpenFile(b.notePath(sha), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(bytes.TrimSpace(line), '\n'))
	return errors.Join(err, f.Close())
}

// Notes returns the lines beside a body, none if there are no notes.
func (b *Bodies) Notes(sha string) ([][]byte, error) {
	text, err := os.ReadFile(b.notePath(sha))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return bytes.Split(bytes.TrimSpace(text), []byte{'\n'}), err
}

// All lists the bodies that are there.
func (b *Bodies) All() ([]string, error) {
	found, err := filepath.Glob(filepath.Join(b.dir, "??", "*"+suffix))
	var out []string
	for _, path := range found {
		if sha, kind := split(filepath.Base(path)); kind != "" {
			out = append(out, sha)
		}
	}
	return out, err
}

// Verify reads a whole body and returns the bytes its file takes; ErrDigest if it is damaged.
func (b *Bodies) Verify(sha string) (stored int64, err error) {
	r, err := b.Read(sha)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return 0, err
	}
	info, err := os.Stat(b.Path(sha))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// SetAside moves a body and its notes to the folder dir, which must exist.
func (b *Bodies) SetAside(sha, dir string) error {
	for _, path := range []string{b.Path(sha), b.notePath(sha)} {
		if err := b.disk.Rename(path, filepath.Join(dir, filepath.Base(path))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
