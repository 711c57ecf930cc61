// Package answered remembers the 250 that a client may never have read, so that its retry of
// the same mail is answered again instead of delivered again (RFC 1047).
package answered

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"postern/filter"
)

// Window is how long an answer that was not read stands for a retry.
const Window = 15 * time.Minute

// Answer is what a client was told, and what had become of each recipient.
type Answer struct {
	Reply string        `json:"reply"`
	Fates []filter.Fate `json:"fates"`
}

// Journal keeps answers in one append-only file of JSON lines. An answer that was added and
// never settled before the process ended counts as not read: the connection broke with it.
type Journal struct {
	path string
	now  func() time.Time

	mu      sync.Mutex
	live    map[string]*record
	pending *batch

	file   sync.Mutex // of f, lines and broken; taken before mu
	f      *os.File
	lines  int
	broken bool // a write failed: the file is made anew before it is trusted again
}

// record is one line of the file.
type record struct {
	Key    string    `json:"key"`
	At     time.Time `json:"at"`
	Answer *Answer   `json:"answer,omitempty"` // nil: the answer was read
	unread bool
}

// batch is lines that share one sync.
type batch struct {
	text  bytes.Buffer
	lines int
	done  chan struct{}
	err   error
}

// compactAt is how many lines more than needed the file may have.
const compactAt = 10000

// lineMax bounds one line that is read back.
const lineMax = 4 << 20

// Open reads the journal in a folder that must exist. A last line cut off by a crash was
// never answered for and is left out.
func Open(dir string, now func() time.Time) (*Journal, error) {
	j := &Journal{path: filepath.Join(dir, "answered.jsonl"), now: now, live: map[string]*record{}}
	if err := j.load(); err != nil {
		return nil, fmt.Errorf("answered: %w", err)
	}
	if err := j.rewrite(); err != nil {
		return nil, fmt.Errorf("answered: %w", err)
	}
	return j, nil
}

func (j *Journal) load() error {
	f, err := os.Open(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	in.Buffer(nil, lineMax)
	for in.Scan() {
		var r record
		if err := json.Unmarshal(in.Bytes(), &r); err != nil || r.Key == "" {
			continue // cut off by a crash
		}
		if r.Answer == nil {
			delete(j.live, r.Key)
			continue
		}
		r.unread = true
		j.live[r.Key] = &r
	}
	if err := in.Err(); !errors.Is(err, bufio.ErrTooLong) { // damage costs a duplicate, not the start
		return err
	}
	return nil
}

// rewrite makes the file anew of what is still live: written, synced, renamed, folder synced.
// The caller holds j.file, or nobody else has the journal yet.
func (j *Journal) rewrite() error {
	var text bytes.Buffer
	lines := 0
	j.mu.Lock()
	for key, r := range j.live {
		if j.now().Sub(r.At) > Window {
			delete(j.live, key)
			continue
		}
		if err := encode(&text, r); err != nil {
			j.mu.Unlock()
			return err
		}
		lines++
	}
	j.mu.Unlock()
	tmp := j.path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Sync()); err == nil {
		err = os.Rename(tmp, j.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(j.path))
	}
	if err != nil {
		f.Close()
		_ = os.Remove(tmp) // half a file is of no use and takes room on a full disk
		return err
	}
	if j.f != nil {
		j.f.Close()
	}
	j.f, j.lines, j.broken = f, lines, false
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func encode(b *bytes.Buffer, r *record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	b.Write(line)
	b.WriteByte('\n')
	return nil
}

// Find returns the answer given under key, if the client is known not to have read it and
// it is not older than Window.
func (j *Journal) Find(key string) (Answer, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	r := j.live[key]
	if r == nil || !r.unread || j.now().Sub(r.At) > Window {
		return Answer{}, false
	}
	return *r.Answer, true
}

// Add writes and syncs an answer about to be given. Answers added at the same time share one
// sync. In memory the answer stands even when the error is not nil.
func (j *Journal) Add(ctx context.Context, key string, a Answer) error {
	r := &record{Key: key, At: j.now(), Answer: &a}
	j.mu.Lock()
	j.live[key] = r
	if j.pending == nil {
		j.pending = &batch{done: make(chan struct{})}
	}
	b := j.pending
	err := encode(&b.text, r)
	b.lines++
	j.mu.Unlock()
	if err != nil {
		return fmt.Errorf("answered: %w", err)
	}
	j.flush(b)
	select {
	case <-b.done:
	case <-ctx.Done():
		return fmt.Errorf("answered: %w", ctx.Err())
	}
	if b.err != nil {
		return fmt.Errorf("answered: %w", b.err)
	}
	return nil
}

// Note writes an answer about to be given without a sync, for mail of which a second copy does no
// harm: after a power failure its retry counts as new. In memory the answer stands even when the
// error is not nil.
func (j *Journal) Note(key string, a Answer) error {
	r := &record{Key: key, At: j.now(), Answer: &a}
	var text bytes.Buffer
	j.mu.Lock()
	j.live[key] = r
	err := encode(&text, r)
	j.mu.Unlock()
	if err == nil {
		err = j.append(text.Bytes())
	}
	if err != nil {
		return fmt.Errorf("answered: %w", err)
	}
	return nil
}

// append writes a line without a sync, unless the file is to be made anew: that is for whoever
// needs it synced.
func (j *Journal) append(line []byte) error {
	j.file.Lock()
	defer j.file.Unlock()
	if j.broken {
		return nil
	}
	return j.write(line, 1, false)
}

// flush writes the batch unless somebody else has taken it along.
func (j *Journal) flush(b *batch) {
	j.file.Lock()
	defer j.file.Unlock()
	j.mu.Lock()
	mine := j.pending == b
	if mine {
		j.pending = nil
	}
	live := len(j.live)
	j.mu.Unlock()
	if !mine {
		return
	}
	defer close(b.done)
	if j.broken || j.lines > live+compactAt {
		b.err = j.rewrite() // holds the batch too: it is live
		j.broken = b.err != nil
		return
	}
	b.err = j.write(b.text.Bytes(), b.lines, true)
}

// write appends to the file. After a failed write or sync the file is not trusted.
func (j *Journal) write(text []byte, lines int, sync bool) error {
	if j.f == nil {
		return fs.ErrClosed
	}
	_, err := j.f.Write(text)
	if err == nil && sync {
		err = j.f.Sync()
	}
	j.lines += lines
	j.broken = j.broken || err != nil
	return err
}

// Settle says whether the client is known to have read the answer. A read one is forgotten;
// for one that was not, the retry is awaited.
func (j *Journal) Settle(key string, read bool) {
	j.mu.Lock()
	r := j.live[key]
	if r != nil && read {
		delete(j.live, key)
	} else if r != nil {
		r.unread = true
	}
	j.mu.Unlock()
	if r == nil || !read {
		return
	}
	var text bytes.Buffer
	if err := encode(&text, &record{Key: key, At: r.At}); err != nil {
		return
	}
	_ = j.append(text.Bytes()) // lost at worst: then one more retry counts as unread
}

// Close closes the file.
func (j *Journal) Close() error {
	j.file.Lock()
	defer j.file.Unlock()
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	return err
}
