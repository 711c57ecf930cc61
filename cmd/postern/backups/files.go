package backups

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"

	"postern/internal/backup"
	"postern/internal/backup/secret"
	"postern/internal/config"
)

// Sections of what is not in the home.
const (
	sectKeys  = "keys"  // each encrypted to the recipients
	sectFiles = "files" // configuration and rules
)

// Files of the state folder stand under this name in a backup, whatever it is called; others
// under their path.
const inState = "state:"

const maxFile = 16 << 20

// files writes configuration and rules, and the keys where there is somebody to encrypt for.
func (d *Desk) files(w *backup.Writer) error {
	c := d.Config()
	var plain []string
	if d.ConfigFile != "" {
		plain = append(plain, d.ConfigFile)
	}
	rules, err := below(c.Rules.Dir)
	if err != nil {
		return err
	}
	s := w.Section(sectFiles)
	for _, path := range append(plain, rules...) {
		b, err := os.ReadFile(path)
		if err == nil {
			err = s.Keep(path, b)
		}
		if err != nil {
			return err
		}
	}
	to, err := secret.Recipients(c.Backup.Recipients)
	if err != nil || len(to) == 0 {
		return err
	}
	return d.keys(w.Section(sectKeys), c, to)
}

func (d *Desk) keys(s *backup.Section, c *config.Config, to []age.Recipient) error {
	paths := []string{filepath.Join(c.State, "trace.key"), AuditKey(c), HeadsFile(c), c.TraceKeys()}
	desk, _ := c.DeskKey()
	paths = append(paths, desk)
	for _, file := range []string{c.Store.KeyFile, c.Learning.KeyFile} {
		if file != "" && !slices.Contains(paths, file) {
			paths = append(paths, file)
		}
	}
	dkim, err := below(filepath.Join(c.State, "dkim"))
	if err != nil {
		return err
	}
	for _, path := range append(paths, dkim...) {
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			b, err = secret.Encrypt(b, to)
		}
		if err == nil {
			err = s.Add(name(c, path), "", bytes.NewReader(b))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// name is that of a file in a backup.
func name(c *config.Config, path string) string {
	if rel, err := filepath.Rel(c.State, path); err == nil && filepath.IsLocal(rel) {
		return inState + rel
	}
	return path
}

// below lists the files of a folder; none where it is missing.
func below(dir string) (out []string, err error) {
	if dir == "" {
		return nil, nil
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return out, err
}

// RestoredDir is the folder in which a restore puts files that do not belong to the state: it
// writes over nothing.
const RestoredDir = "restored"

// Unpacked counts what Unpack wrote.
type Unpacked struct {
	Keys  int `json:"keys"`
	Files int `json:"files"`
}

// target is where a file of a backup goes.
func target(c *config.Config, key string) (string, error) {
	rel, state := strings.CutPrefix(key, inState)
	if !state {
		rel = filepath.Join(RestoredDir, strings.TrimLeft(rel, "/"))
	}
	if !filepath.IsLocal(rel) {
		return "", fmt.Errorf("%q is no name of a file", key)
	}
	return filepath.Join(c.State, rel), nil
}

// HasKeys says that there are keys in a backup.
func HasKeys(chain *backup.Chain) bool { return chain.Len(sectKeys) > 0 }

// Unpack writes keys and files. With check alone it writes nothing and says what is in the way.
func Unpack(ctx context.Context, c *config.Config, chain *backup.Chain, ids []age.Identity, check bool) (n Unpacked, err error) {
	put := func(key string, b []byte, count *int) error {
		path, err := target(c, key)
		if err != nil {
			return err
		}
		there, err := os.ReadFile(path)
		switch {
		case err == nil && bytes.Equal(there, b):
			return nil
		case err == nil:
			return fmt.Errorf("%s is there already and is another one: move it away first", path)
		case !errors.Is(err, os.ErrNotExist):
			return err
		}
		*count++
		if check {
			return nil
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return write(path, b)
	}
	if len(ids) > 0 {
		err = chain.Each(ctx, sectKeys, func(key string, r io.Reader) error {
			b, err := secret.Decrypt(r, maxFile, ids)
			if err != nil {
				return fmt.Errorf("key %s: %w", key, err)
			}
			return put(key, b, &n.Keys)
		})
		if err != nil {
			return n, err
		}
	}
	return n, chain.Each(ctx, sectFiles, func(key string, r io.Reader) error {
		b, err := decodeBytes(r)
		if err != nil {
			return err
		}
		return put(key, b, &n.Files)
	})
}
