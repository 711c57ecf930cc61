package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// chunk is the size at which a file of records ends and the next begins.
const chunk = 64 << 20

// Options are what a run is made with.
type Options struct {
	Dir     string
	Kind    Kind // Incremental becomes Full where there is no run to stand on
	Program string
	Home    string
	Node    string
	Now     func() time.Time
	Step    func(section string, records int) // told how far it is; may be nil
}

// Writer is a run that is being made.
type Writer struct {
	o        Options
	m        Manifest
	base     *Chain // nil: full
	half     string
	sections map[string]*Section
	order    []string
}

// Section is one sort of records of a run.
type Section struct {
	w       *Writer
	name    string
	log     bool
	files   int
	f       *frames
	live    map[string]place
	written int
}

// place is where a record is.
type place struct {
	Key string `json:"k"`
	Tag string `json:"t"` // tells one state of the record from another
	Run int    `json:"r"` // index into the chain
	N   int    `json:"f"` // number of the file
	Off int64  `json:"o"`
}

// Run makes a run: dump writes all sections of it. What is there afterwards is a whole run, or
// nothing.
func Run(ctx context.Context, o Options, dump func(ctx context.Context, w *Writer) error) (Manifest, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return Manifest{}, err
	}
	if err := sweep(o.Dir); err != nil {
		return Manifest{}, err
	}
	w, err := begin(o)
	if err != nil {
		return Manifest{}, err
	}
	if w.base != nil {
		defer func() { _ = w.base.Close() }() // it was only read
	}
	err = dump(ctx, w)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		w.abandon()
		return Manifest{}, errors.Join(err, os.RemoveAll(w.half))
	}
	return w.m, nil
}

func begin(o Options) (*Writer, error) {
	w := &Writer{o: o, sections: map[string]*Section{}}
	w.m = Manifest{
		Format: Format, Kind: o.Kind, Program: o.Program, Home: o.Home, Node: o.Node, Started: o.Now().UTC().Truncate(time.Second),
		Written: map[string]int{}, Live: map[string]int{}, Marks: map[string]string{},
	}
	if o.Kind == Incremental {
		w.stand()
	}
	if w.base == nil {
		w.m.Kind = Full
	}
	w.m.Run = w.m.Started.Format("20060102T150405Z") + "-" + string(w.m.Kind)
	for n := 2; exists(filepath.Join(o.Dir, w.m.Run)); n++ {
		w.m.Run = fmt.Sprintf("%s-%s-%d", w.m.Started.Format("20060102T150405Z"), w.m.Kind, n)
	}
	if w.base != nil {
		last := w.base.last()
		w.m.Chain, w.m.Base = append(w.m.Chain, last.Chain...), last.sum
	}
	w.m.Chain = append(w.m.Chain, w.m.Run)
	w.half = filepath.Join(o.Dir, tempPrefix+w.m.Run)
	return w, os.Mkdir(w.half, 0o700)
}

// stand looks for the run to stand on: the last one, if its chain and its indexes are whole.
func (w *Writer) stand() {
	runs, _, err := List(w.o.Dir)
	if err != nil || len(runs) == 0 {
		return
	}
	last := runs[len(runs)-1]
	c, err := Open(w.o.Dir, last.Run)
	if err != nil || len(last.Chain) >= maxChain || last.Home != w.o.Home {
		if c != nil {
			_ = c.Close() // it was only read
		}
		return
	}
	w.base = c
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Full says that everything is written anew.
func (w *Writer) Full() bool { return w.base == nil }

// Since is when the run that this one stands on began; zero for a full one.
func (w *Writer) Since() time.Time {
	if w.base == nil {
		return time.Time{}
	}
	return w.base.last().Started
}

// Mark is what the run that this one stands on noted under a name.
func (w *Writer) Mark(name string) string {
	if w.base == nil {
		return ""
	}
	return w.base.last().Marks[name]
}

// Note notes something for the next run.
func (w *Writer) Note(name, value string) { w.m.Marks[name] = value }

// Damaged notes what the home could not read.
func (w *Writer) Damaged(what string) { w.m.Damaged = append(w.m.Damaged, what) }

// Section is that of a name: letters and hyphens. Its records have keys and change.
func (w *Writer) Section(name string) *Section { return w.section(name, false) }

// Log is a section that is only appended to: its records are those of all runs of a chain.
func (w *Writer) Log(name string) *Section { return w.section(name, true) }

func (w *Writer) section(name string, log bool) *Section {
	if s, ok := w.sections[name]; ok {
		return s
	}
	s := &Section{w: w, name: name, log: log, live: map[string]place{}}
	w.sections[name] = s
	w.order = append(w.order, name)
	return s
}

// Has says that a record is in this run already, or in the chain in this very state: then it is
// of this run without being written.
func (s *Section) Has(key, tag string) bool {
	if p, ok := s.live[key]; ok && p.Tag == tag {
		return true
	}
	if s.w.base == nil {
		return false
	}
	p, ok := s.w.base.sections[s.name][key]
	if !ok || p.Tag != tag {
		return false
	}
	s.live[key] = p
	return true
}

// Add writes a record. A *SourceError leaves it out.
func (s *Section) Add(key, tag string, r io.Reader) error {
	if err := s.open(); err != nil {
		return err
	}
	off := s.f.size
	if err := s.f.record(key, r); err != nil {
		return err
	}
	s.written++
	if !s.log {
		s.live[key] = place{key, tag, len(s.w.m.Chain) - 1, s.files, off}
	}
	if s.w.o.Step != nil && s.written%100 == 0 {
		s.w.o.Step(s.name, s.written)
	}
	if s.f.size >= chunk {
		return s.end()
	}
	return nil
}

// Put writes a value as JSON.
func (s *Section) Put(key, tag string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return s.Add(key, tag, bytes.NewReader(b))
}

// Keep writes a value as JSON unless the chain has it like this.
func (s *Section) Keep(key string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	tag := digest(b)[:32]
	if s.Has(key, tag) {
		return nil
	}
	return s.Add(key, tag, bytes.NewReader(b))
}

func (s *Section) open() (err error) {
	if s.f == nil {
		s.files++
		s.f, err = newFrames(filepath.Join(s.w.half, recName(s.name, s.files)))
	}
	return err
}

func recName(section string, n int) string { return fmt.Sprintf("%s-%05d.rec", section, n) }
func idxName(section string) string        { return section + ".idx" }

func (s *Section) end() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	err := f.close()
	s.w.m.Files = append(s.w.m.Files, File{Name: recName(s.name, s.files), Section: s.name, Size: f.size, SHA256: fmt.Sprintf("%x", f.sum.Sum(nil))})
	return err
}

func (w *Writer) abandon() {
	for _, s := range w.sections {
		if s.f != nil {
			_ = s.f.close() // it is thrown away
		}
	}
}

func (w *Writer) finish() error {
	for _, name := range w.order {
		s := w.sections[name]
		if err := s.end(); err != nil {
			return err
		}
		w.m.Written[name] = s.written
		if s.log {
			continue
		}
		w.m.Live[name] = len(s.live)
		if err := s.index(); err != nil {
			return err
		}
	}
	w.m.Ended = w.o.Now().UTC()
	b, err := json.MarshalIndent(w.m, "", " ")
	if err != nil {
		return err
	}
	w.m.sum = digest(b)
	return errors.Join(
		writeSynced(filepath.Join(w.half, manifestName), b), writeSynced(filepath.Join(w.half, sumName), []byte(w.m.sum+"\n")), syncDir(w.half),
		os.Rename(w.half, filepath.Join(w.o.Dir, w.m.Run)), syncDir(w.o.Dir),
	)
}

// index writes where every record is, those of the runs before too.
func (s *Section) index() error {
	f, err := newFrames(filepath.Join(s.w.half, idxName(s.name)))
	if err != nil {
		return err
	}
	x := &indexer{f: f}
	for _, p := range sortedPlaces(s.live) {
		if err := x.add(p); err != nil {
			return errors.Join(err, f.close())
		}
	}
	if err := errors.Join(x.flush(), f.close()); err != nil {
		return err
	}
	s.w.m.Files = append(s.w.m.Files, File{Name: idxName(s.name), Section: s.name, Index: true, Size: f.size, SHA256: fmt.Sprintf("%x", f.sum.Sum(nil))})
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
