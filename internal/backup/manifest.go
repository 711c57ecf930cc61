// Package backup keeps runs of a backup in folders: each a manifest, files of records and their
// indexes. A run is written under another name, synced, and renamed, so that half a run is
// never taken for one. An incremental run has what changed since the run before it and names
// the rest where it is. What a record is of is known only to those who write it.
package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Kind of a run.
type Kind string

// The kinds.
const (
	Full        Kind = "full"
	Incremental Kind = "incremental"
)

// Format is the version of what is written; a run of a later one is refused.
const Format = 1

// File is one file of a run.
type File struct {
	Name    string `json:"name"`
	Section string `json:"section"`
	Index   bool   `json:"index,omitempty"`
	Size    int64  `json:"size"`
	SHA256  string `json:"sha256"`
}

// Manifest says what a run is.
type Manifest struct {
	Format  int               `json:"format"`
	Run     string            `json:"run"`
	Kind    Kind              `json:"kind"`
	Chain   []string          `json:"chain"`          // the runs it needs, the full one first, itself last
	Base    string            `json:"base,omitempty"` // SHA-256 of the manifest of the run before it
	Program string            `json:"program"`
	Home    string            `json:"home"` // kind of the home
	Node    string            `json:"node"`
	Started time.Time         `json:"started"`
	Ended   time.Time         `json:"ended"`
	Written map[string]int    `json:"written"` // records in this run, by section
	Live    map[string]int    `json:"live"`    // records there were, by section; without those that are only appended
	Marks   map[string]string `json:"marks,omitempty"`
	Damaged []string          `json:"damaged,omitempty"` // what the home itself could not read
	Files   []File            `json:"files"`

	sum string
}

// Bytes is what the run takes.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Files of every run.
const (
	manifestName = "manifest.json"
	sumName      = "manifest.sha256"
	tempPrefix   = ".half-"
	maxManifest  = 16 << 20
	maxChain     = 1000 // runs of a chain; then a full one follows
)

var (
	runName  = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}Z-(full|incremental)(-[0-9]+)?$`)
	fileName = regexp.MustCompile(`^[a-z-]{1,40}(-[0-9]{5}\.rec|\.idx)$`)
)

// ErrNoRun says that there is no such run.
var ErrNoRun = errors.New("there is no such run")

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Read reads and verifies the manifest of a run.
func Read(dir, run string) (Manifest, error) {
	m := Manifest{}
	if !runName.MatchString(run) {
		return m, fmt.Errorf("%w: %.80q", ErrNoRun, run)
	}
	b, err := os.ReadFile(filepath.Join(dir, run, manifestName))
	if errors.Is(err, os.ErrNotExist) {
		if _, serr := os.Stat(filepath.Join(dir, run)); serr != nil {
			return m, fmt.Errorf("%w: %s", ErrNoRun, run)
		}
		return m, &DamageError{Run: run, File: manifestName, Why: "is missing"}
	} else if err != nil {
		return m, err
	}
	want, err := os.ReadFile(filepath.Join(dir, run, sumName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return m, err
	}
	m.sum = digest(b)
	if !bytes.Equal(want, []byte(m.sum+"\n")) {
		return m, &DamageError{Run: run, File: manifestName, Why: "it and " + sumName + " do not belong together: one of them was changed"}
	}
	if err := json.Unmarshal(b, &m); err != nil || len(b) > maxManifest {
		return m, &DamageError{Run: run, File: manifestName, Why: "cannot be read"}
	}
	return m, m.check(run)
}

func (m Manifest) check(run string) error {
	wrong := func(why string) error { return &DamageError{Run: run, File: manifestName, Why: why} }
	switch {
	case m.Format > Format:
		return fmt.Errorf("%s was written by a later program (format %d, this one reads %d)", run, m.Format, Format)
	case m.Run != run:
		return wrong("is that of run " + m.Run)
	case len(m.Chain) == 0 || len(m.Chain) > maxChain || m.Chain[len(m.Chain)-1] != run || m.Kind == Full && len(m.Chain) != 1:
		return wrong("its chain of runs is wrong")
	}
	for _, f := range m.Files {
		if !fileName.MatchString(f.Name) || f.Size < 0 {
			return wrong(fmt.Sprintf("names the file %.80q", f.Name))
		}
	}
	for _, r := range m.Chain {
		if !runName.MatchString(r) {
			return wrong(fmt.Sprintf("names the run %.80q", r))
		}
	}
	return nil
}

// List reads the manifests of all runs, the oldest first, and says which cannot be read.
func List(dir string) (runs []Manifest, damaged []error, err error) {
	names, err := names(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range names {
		m, err := Read(dir, n)
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		runs = append(runs, m)
	}
	slices.SortStableFunc(runs, func(a, b Manifest) int { return a.Started.Compare(b.Started) })
	return runs, damaged, nil
}

func names(dir string) (out []string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if e.IsDir() && runName.MatchString(e.Name()) {
			out = append(out, e.Name())
		}
	}
	return out, err
}

// sweep removes what a run or a removal that was broken off has left.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// Prune removes the runs that ended more than keep ago and that no run which stays needs. The
// last run and its chain always stay. It returns what it removed.
func Prune(dir string, now time.Time, keep time.Duration) (gone []string, err error) {
	runs, _, err := List(dir)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	needed := map[string]bool{}
	for i, m := range runs {
		if i == len(runs)-1 || now.Sub(m.Ended) <= keep {
			for _, r := range m.Chain {
				needed[r] = true
			}
		}
	}
	for _, m := range slices.Backward(runs) { // those that need others go before them
		if needed[m.Run] {
			continue
		}
		half := filepath.Join(dir, tempPrefix+m.Run)
		if err := os.Rename(filepath.Join(dir, m.Run), half); err != nil {
			return gone, err
		}
		gone = append(gone, m.Run)
		if err := os.RemoveAll(half); err != nil {
			return gone, err
		}
	}
	return gone, syncDir(dir)
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
