package audit_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"pgregory.net/rapid"

	"postern/internal/record"
	"postern/internal/store/redis/audit"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
)

// desk is a node of the model.
type desk struct {
	*audit.Audit
	o audit.Options
}

func (d *desk) open(t rapid.TB) {
	t.Helper()
	a, err := audit.Open(d.o)
	if err != nil {
		t.Fatal(err)
	}
	d.Audit = a
}

// TestModel: two nodes write, restart and look after a store that loses the end of the chain or
// all of it at random. The chain is unbroken at all times, and in the end each entry is there
// once, whatever was lost in between.
func TestModel(t *testing.T) {
	mini := miniredis.RunT(t)
	c := redistest.Connect(t, conn.Options{Addrs: []string{mini.Addr()}})
	ring := redistest.Ring(t)
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		mini.FlushAll()
		var desks []*desk
		for _, name := range []string{"a", "b"} {
			d := &desk{o: audit.Options{File: filepath.Join(dir, fmt.Sprint(run, name)), Conn: c, Ring: ring, Node: name}}
			d.open(rt)
			desks = append(desks, d)
		}
		defer func() {
			for _, d := range desks {
				d.Close()
			}
		}()
		pick := func(rt *rapid.T) *desk { return rapid.SampledFrom(desks).Draw(rt, "node") }
		written := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				e, err := pick(rt).Append(rt.Context(), record.Entry{Time: time.Now(), Object: fmt.Sprint("object ", written)})
				if err != nil || e.Seq == 0 {
					rt.Fatalf("entry %d, %v", e.Seq, err)
				}
				written++
			},
			"look":  func(rt *rapid.T) { settled(rt, pick(rt)) },
			"flush": func(*rapid.T) { mini.FlushAll() },
			"cut": func(rt *rapid.T) {
				for range rapid.IntRange(1, 4).Draw(rt, "entries") {
					_, _ = mini.Pop(key) // fails when there is none
				}
			},
			"restart": func(rt *rapid.T) {
				d := pick(rt)
				d.Close()
				d.open(rt)
			},
			"": func(rt *rapid.T) {
				if _, err := record.Verify(rt.Context(), desks[0]); err != nil {
					rt.Fatal(err)
				}
			},
		})
		for range 2 {
			for _, d := range desks {
				settled(rt, d)
			}
		}
		once(rt, desks[1], written)
	})
}

func settled(rt *rapid.T, d *desk) {
	if err := d.Lost(rt.Context()); err != nil || d.Pending() != 0 {
		rt.Fatalf("%d entries wait, %v", d.Pending(), err)
	}
}

// once checks that the chain has each entry that was written, and none twice.
func once(rt *rapid.T, s record.AuditStore, written int) {
	seen := map[string]int{}
	for after := int64(0); ; {
		part, err := s.Entries(context.Background(), after, 100)
		if err != nil {
			rt.Fatal(err)
		}
		if len(part) == 0 {
			break
		}
		for _, e := range part {
			after = e.Seq
			if e.Action != audit.ActionLost {
				seen[e.Object]++
			}
		}
	}
	for i := range written {
		if n := seen[fmt.Sprint("object ", i)]; n != 1 {
			rt.Errorf("object %d is in the chain %d times", i, n)
		}
	}
}
