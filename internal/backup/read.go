package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Chain is a run with all that it stands on, open for reading.
type Chain struct {
	dir      string
	runs     []Manifest // the full one first
	sections map[string]map[string]place

	zip      *zstd.Decoder
	open     *os.File // the file of records read last
	openPath string
}

// Open opens a run: its manifests and indexes are read and verified, its records are not yet.
// Close it.
func Open(dir, run string) (*Chain, error) {
	m, err := Read(dir, run)
	if err != nil {
		return nil, err
	}
	c := &Chain{dir: dir, sections: map[string]map[string]place{}}
	if c.zip, err = newUnzip(); err != nil {
		return nil, err
	}
	for i, name := range m.Chain {
		r, err := Read(dir, name)
		if err != nil {
			return nil, err
		}
		if i > 0 && r.Base != c.last().sum || !slices.Equal(r.Chain, m.Chain[:i+1]) {
			return nil, &DamageError{Run: name, File: manifestName, Why: "does not stand on the run before it"}
		}
		c.runs = append(c.runs, r)
	}
	for _, f := range m.Files {
		if !f.Index {
			continue
		}
		if c.sections[f.Section], err = c.readIndex(m.Run, f); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Chain) readIndex(run string, f File) (map[string]place, error) {
	r, err := os.Open(filepath.Join(c.dir, run, f.Name))
	if errors.Is(err, os.ErrNotExist) {
		return nil, &DamageError{Run: run, File: f.Name, Why: "is missing"}
	} else if err != nil {
		return nil, err
	}
	defer r.Close()
	return readIndex(r, run, f.Name, len(c.runs), c.zip)
}

func (c *Chain) last() Manifest { return c.runs[len(c.runs)-1] }

// Manifest is that of the run.
func (c *Chain) Manifest() Manifest { return c.last() }

// Close ends reading.
func (c *Chain) Close() error {
	if c.open == nil {
		return nil
	}
	err := c.open.Close()
	c.open, c.openPath = nil, ""
	return err
}

// Verified counts what Verify read.
type Verified struct {
	Runs    int   `json:"runs"`
	Files   int   `json:"files"`
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// Verify reads everything that the run needs. The error is a *DamageError for the first thing
// that is not what was written.
func (c *Chain) Verify(ctx context.Context) (v Verified, err error) {
	for _, m := range c.runs {
		v.Runs++
		for _, f := range m.Files {
			n, err := c.verifyFile(ctx, m.Run, f)
			if err != nil {
				return v, err
			}
			v.Files++
			v.Records += n
			v.Bytes += f.Size
		}
	}
	for name, places := range c.sections {
		for _, p := range places {
			if !c.has(p.Run, recName(name, p.N)) {
				return v, &DamageError{Run: c.last().Run, File: idxName(name), Key: p.Key, Why: "names a file that there is not"}
			}
		}
	}
	return v, nil
}

func (c *Chain) has(run int, file string) bool {
	return slices.ContainsFunc(c.runs[run].Files, func(f File) bool { return f.Name == file })
}

func (c *Chain) verifyFile(ctx context.Context, run string, f File) (records int, err error) {
	r, err := os.Open(filepath.Join(c.dir, run, f.Name))
	if errors.Is(err, os.ErrNotExist) {
		return 0, &DamageError{Run: run, File: f.Name, Why: "is missing"}
	} else if err != nil {
		return 0, err
	}
	defer r.Close()
	sum := sha256.New()
	all := io.TeeReader(r, sum)
	s, err := newScanner(all, run, f.Name, 0, c.zip)
	if err != nil {
		return 0, err
	}
	for {
		h, _, err := s.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return records, err
		}
		if !h.More && !h.Void && !f.Index {
			records++
		}
	}
	if hex.EncodeToString(sum.Sum(nil)) != f.SHA256 || s.off != f.Size {
		return records, &DamageError{Run: run, File: f.Name, Why: "is not the file that was written"}
	}
	return records, nil
}

// Len is how many records a section has; of one that is only appended to, those written.
func (c *Chain) Len(section string) (n int) {
	if places, ok := c.sections[section]; ok {
		return len(places)
	}
	for _, m := range c.runs {
		n += m.Written[section]
	}
	return n
}

// Get opens one record, or ErrNoRecord. Read it to its end before the next one.
func (c *Chain) Get(section, key string) (io.Reader, error) {
	p, ok := c.sections[section][key]
	if !ok {
		return nil, fmt.Errorf("%w: %s %q", ErrNoRecord, section, key)
	}
	return c.at(section, p)
}

// ErrNoRecord says that the run has no such record.
var ErrNoRecord = errors.New("the backup has no such record")

func (c *Chain) at(section string, p place) (io.Reader, error) {
	run, file := c.runs[p.Run].Run, recName(section, p.N)
	path := filepath.Join(c.dir, run, file)
	if c.openPath != path {
		if err := c.Close(); err != nil {
			return nil, err
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		c.open, c.openPath = f, path
	}
	if _, err := c.open.Seek(p.Off, io.SeekStart); err != nil {
		return nil, err
	}
	s, err := newScanner(c.open, run, file, p.Off, c.zip)
	if err != nil {
		return nil, err
	}
	h, data, err := s.next()
	if errors.Is(err, io.EOF) || err == nil && (h.Key != p.Key || h.N != 0 || h.Void) {
		err = &DamageError{Run: run, File: file, Key: p.Key, Why: "the record is not where the index says"}
	}
	if err != nil {
		return nil, err
	}
	return &body{s: s, h: h, data: data}, nil
}

// Each gives the records of a section in the order in which they were written. f may use Get;
// it reads r before.
func (c *Chain) Each(ctx context.Context, section string, f func(key string, r io.Reader) error) error {
	places, ok := c.sections[section]
	if !ok {
		return c.eachLogged(ctx, section, f)
	}
	for _, p := range sortedPlaces(places) {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := c.at(section, p)
		if err == nil {
			err = f(p.Key, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Chain) eachLogged(ctx context.Context, section string, f func(key string, r io.Reader) error) error {
	for _, m := range c.runs {
		for _, file := range m.Files {
			if file.Section != section || !strings.HasSuffix(file.Name, ".rec") {
				continue
			}
			if err := c.eachOf(ctx, m.Run, file.Name, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Chain) eachOf(ctx context.Context, run, file string, f func(key string, r io.Reader) error) error {
	r, err := os.Open(filepath.Join(c.dir, run, file))
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := newScanner(r, run, file, 0, c.zip)
	if err != nil {
		return err
	}
	for {
		h, data, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if h.Void {
			continue
		}
		b := &body{s: s, h: h, data: data}
		err = f(h.Key, b)
		if err == nil {
			_, err = io.Copy(io.Discard, b)
		}
		if err != nil && !errors.Is(err, errVoid) {
			return err
		}
	}
}
