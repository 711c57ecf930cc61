package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Names below the folder of the keys. No domain can have one of the first two.
const (
	lockFile    = "lock"
	changedFile = "changed" // written anew with every change, so that one look tells
	stateFile   = "keys.json"
)

// maxFile bounds what is read of one file.
const maxFile = 1 << 20

// document is keys.json.
type document struct {
	Version int   `json:"v"`
	Keys    []Key `json:"keys"`
}

func (s *Store) pemPath(k Key) string { return filepath.Join(s.dir, k.Domain, k.Selector+".pem") }

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return b, err
}

// read reads what is known of a domain. A folder without a state file has no keys: its first
// key was never finished.
func (s *Store) read(name string) *domain {
	d := &domain{name: name, private: map[string]*Private{}}
	path := filepath.Join(s.dir, name, stateFile)
	b, err := readBounded(path)
	if errors.Is(err, os.ErrNotExist) {
		return d
	}
	if err != nil {
		d.err = err
		return d
	}
	var doc document
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		d.err = fmt.Errorf("%s: %w", path, err)
		return d
	}
	if err := doc.check(name); err != nil {
		d.err = fmt.Errorf("%s: %w", path, err)
		return d
	}
	d.keys = doc.Keys
	return d
}

// check refuses what this program did not write.
func (doc document) check(name string) error {
	if doc.Version != 1 {
		return fmt.Errorf("version %d, this program knows 1", doc.Version)
	}
	active, selectors := map[string]string{}, map[string]bool{}
	for i, k := range doc.Keys {
		switch {
		case k.Domain != name:
			return fmt.Errorf("key %d is of domain %.100q, the folder is %s", i, k.Domain, name)
		case !fitSelector(k.Selector):
			return fmt.Errorf("key %d: selector %.100q", i, k.Selector)
		case selectors[k.Selector]:
			return fmt.Errorf("selector %s stands twice", k.Selector)
		case k.Algorithm != RSA && k.Algorithm != Ed25519:
			return fmt.Errorf("key %s: algorithm %.20q", k.Selector, k.Algorithm)
		case k.Public == "":
			return fmt.Errorf("key %s has no public key", k.Selector)
		case k.State != Pending && k.State != Active && k.State != Retired:
			return fmt.Errorf("key %s: state %.20q", k.Selector, k.State)
		case k.State == Active && active[k.Algorithm] != "":
			return fmt.Errorf("keys %s and %s are both active", active[k.Algorithm], k.Selector)
		}
		selectors[k.Selector] = true
		if k.State == Active {
			active[k.Algorithm] = k.Selector
		}
	}
	return nil
}

// change lets f work on the keys of a domain as they are on disk, under the lock of the whole
// folder, and writes what f made of them: wholly or not at all.
func (s *Store) change(name string, f func(keys []Key) ([]Key, error)) error {
	unlock, err := lock(filepath.Join(s.dir, lockFile))
	if err != nil {
		return err
	}
	defer unlock()
	d := s.read(name)
	if d.err != nil {
		return d.err
	}
	was := slices.Clone(d.keys)
	if d.keys, err = f(d.keys); err != nil || slices.Equal(was, d.keys) {
		return err
	}
	text, err := json.MarshalIndent(document{Version: 1, Keys: d.keys}, "", "  ")
	if err != nil {
		return err
	}
	if err := s.write(filepath.Join(name, stateFile), append(text, '\n')); err != nil {
		return err
	}
	if err := s.write(changedFile, strconv.AppendInt(nil, s.now().UnixNano(), 10)); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reload()
}

// write replaces a file below the folder; after a crash it is the old one or the new one.
func (s *Store) write(name string, text []byte) error {
	path := filepath.Join(s.dir, name)
	folder := filepath.Dir(path)
	if folder != s.dir {
		err := os.Mkdir(folder, 0o700)
		if err == nil {
			err = syncDir(s.dir)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(folder)
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// lock waits for the lock of the folder. Changes take milliseconds.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(&os.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	return func() { f.Close() }, nil
}
