package journal_test

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postern/internal/store/redis/journal"
)

var (
	errFull = error(syscall.ENOSPC)
	errIO   = error(syscall.EIO)
)

func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// What is over takes no room: not after a restart either.
func TestTend(t *testing.T) {
	now := time.Now()
	o := journal.Options{Dir: folder(t), Segment: 20_000, Now: func() time.Time { return now }}
	j := open(t, o)
	for n := range 100 {
		put(t, j, name(n), "r", noise(2000))
	}
	before := j.Stats()
	for n := range 100 {
		if n%25 == 0 {
			continue
		}
		set(t, j, tombstone(name(n), "t", now.Add(time.Hour)))
	}
	tend := func() {
		t.Helper()
		for range 30 {
			if err := j.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	tend()
	after := j.Stats()
	if after.Live != 4 || after.Tombstones != 96 || after.Bytes*4 > before.Bytes {
		t.Errorf("before %+v, after %+v", before, after)
	}
	j = reopen(t, j, o)
	if st := j.Stats(); st.Live != 4 || st.Tombstones != 96 {
		t.Errorf("opened again: %+v", st)
	}
	now = now.Add(2 * time.Hour)
	tend()
	if st := j.Stats(); st.Live != 4 || st.Tombstones != 0 || st.Bytes > 40_000 {
		t.Errorf("after the time of the tombstones: %+v", st)
	}
	j = reopen(t, j, o)
	if living, tombs := j.IDs(kind); len(living) != 4 || len(tombs) != 0 {
		t.Errorf("in the end: %v, %v", living, tombs)
	}
	for n := 0; n < 100; n += 25 {
		if _, err := read(j, name(n)); err != nil {
			t.Error(err)
		}
	}
}

// machine is the journal and what it should have in it.
type machine struct {
	t      *testing.T
	o      journal.Options
	now    time.Time
	j      *journal.Journal
	live   map[string][2]string // record, body
	tombs  map[string]time.Time
	serial int
}

func (m *machine) id(rt *rapid.T) string { return name(rapid.IntRange(0, 8).Draw(rt, "id")) }

func (m *machine) put(rt *rapid.T) {
	id := m.id(rt)
	m.serial++
	record, body := fmt.Sprintf("record %d", m.serial), strings.Repeat("b", rapid.SampledFrom([]int{0, 1, 900}).Draw(rt, "body"))
	if rapid.Bool().Draw(rt, "own") {
		body += record
	}
	err := putErr(m.t, m.j, id, record, body)
	_, taken := m.live[id]
	_, dead := m.tombs[id]
	if (taken || dead) != (err != nil) {
		rt.Fatalf("put: %v", err)
	}
	if err != nil {
		return
	}
	m.live[id] = [2]string{record, body}
}

func (m *machine) update(rt *rapid.T) {
	id := m.id(rt)
	was, ok := m.live[id]
	if !ok {
		rt.Skip("not there")
	}
	m.serial++
	was[0] = fmt.Sprintf("record %d", m.serial)
	set(m.t, m.j, item(id, was[0]))
	m.live[id] = was
}

func (m *machine) end(rt *rapid.T) {
	id := m.id(rt)
	m.tombs[id] = m.now.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute)
	set(m.t, m.j, tombstone(id, "t", m.tombs[id]))
	delete(m.live, id)
}

func (m *machine) forget(rt *rapid.T) {
	id := m.id(rt)
	set(m.t, m.j, gone(id))
	delete(m.live, id)
	delete(m.tombs, id)
}

func (m *machine) tend(rt *rapid.T) {
	if err := m.j.Tend(m.t.Context()); err != nil {
		rt.Fatal(err)
	}
}

func (m *machine) restart(*rapid.T) { m.j = reopen(m.t, m.j, m.o) }

func (m *machine) pass(*rapid.T) {
	m.now = m.now.Add(3 * time.Minute)
	for id, until := range m.tombs {
		if !m.now.Before(until) {
			delete(m.tombs, id)
		}
	}
}

func (m *machine) compare(rt *rapid.T) {
	living, tombs := m.j.IDs(kind)
	if len(living) != len(m.live) || len(tombs) != len(m.tombs) {
		rt.Fatalf("%v live of %d, tombstones %v of %d", living, len(m.live), tombs, len(m.tombs))
	}
	for id, w := range m.live {
		e, err := m.j.Get(kind, id)
		body, berr := read(m.j, id)
		if err != nil || berr != nil || string(e.Record) != w[0] || body != w[1] {
			rt.Fatalf("%s: %q, %d bytes, %v, %v; want %q, %d", id, e.Record, len(body), err, berr, w[0], len(w[1]))
		}
	}
}

// TestModel: whatever is written, ended, moved and opened again in whatever order, what is
// there is what was written last.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{t: t, now: time.Now(), live: map[string][2]string{}, tombs: map[string]time.Time{}}
		m.o = journal.Options{Dir: folder(t), Segment: 1500, Now: func() time.Time { return m.now }, Log: slog.New(slog.DiscardHandler)}
		m.j = open(t, m.o)
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.put, "update": m.update, "end": m.end, "forget": m.forget, "tend": m.tend, "tend more": m.tend, "restart": m.restart, "pass": m.pass, "": m.compare,
		})
		m.j.Close()
	})
}
