package audit_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"postern/internal/mailtest/redisd"
	"postern/internal/record"
	"postern/internal/store/redis/conn"
)

// TestClaimedLength: a store that claims a chain of any length does not make a node read it all to
// find an entry whose fate it does not know.
func TestClaimedLength(t *testing.T) {
	var mu sync.Mutex
	length, pages := 1_000_000_000, [][2]int{}
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		mu.Lock()
		defer mu.Unlock()
		switch strings.ToLower(args[0]) {
		case "llen":
			length += 5_000_000
			return redisd.Answer{Text: fmt.Sprintf(":%d\r\n", length)}
		case "lindex":
			return redisd.Answer{Text: "$1\r\nx\r\n"}
		case "lrange":
			from, _ := strconv.Atoi(args[2])
			to, _ := strconv.Atoi(args[3])
			pages = append(pages, [2]int{from, to})
			return redisd.Answer{Text: "*0\r\n"}
		case "eval":
			return redisd.Answer{Close: true}
		}
		return redisd.Answer{}
	})
	a := newNode(t, "a", s.Addr).start()
	if e := a.write("one"); e.Seq != 0 {
		t.Errorf("an entry without an answer has number %d", e.Seq)
	}
	for range 3 {
		if err := a.Lost(t.Context()); err == nil {
			t.Error("a store that has nothing of what it claims was believed")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(pages) == 0 || len(pages) > 3 {
		t.Errorf("%d pages were asked for", len(pages))
	}
	for _, p := range pages {
		if p[1]-p[0] >= 100 || p[0] != pages[0][0] {
			t.Errorf("entries %d to %d were asked for", p[0], p[1])
		}
	}
}

// TestOthersDoNotWait: while a store is silent, what only this node is asked is answered.
func TestOthersDoNotWait(t *testing.T) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	var once, heal sync.Once
	heals := func() { heal.Do(func() { close(goOn) }) }
	s := redisd.StartScripted(t, func(args []string) redisd.Answer {
		if strings.EqualFold(args[0], "lindex") {
			once.Do(func() { close(reached) })
			<-goOn
		}
		return redisd.Answer{}
	})
	t.Cleanup(heals)
	a, err := newNode(t, "a", s.Addr), error(nil)
	a.start()
	done := make(chan record.Entry)
	go func() {
		var e record.Entry
		e, err = a.Append(t.Context(), record.Entry{Time: a.now(), Object: "one"})
		done <- e
	}()
	<-reached
	if n := a.Pending(); n != 1 { // would wait for the store, were it locked
		t.Errorf("%d entries wait", n)
	}
	select {
	case <-done:
		t.Error("the store was not waited for")
	default:
	}
	heals()
	if e := <-done; err != nil || e.Seq != 0 || e.Object != "one" {
		t.Errorf("%+v, %v", e, err)
	}
}

// TestImpossibleLength: a length that no list has is no answer.
func TestImpossibleLength(t *testing.T) {
	for _, n := range []string{"-1", "9223372036854775807"} {
		s := redisd.StartScripted(t, func(args []string) redisd.Answer {
			switch strings.ToLower(args[0]) {
			case "llen":
				return redisd.Answer{Text: ":" + n + "\r\n"}
			case "eval":
				t.Error("something was appended")
			}
			return redisd.Answer{}
		})
		a := newNode(t, "a", s.Addr).start()
		if e := a.write("one"); e.Seq != 0 {
			t.Errorf("%s: number %d", n, e.Seq)
		}
		if err := a.Lost(t.Context()); err == nil || conn.Refused(err) != "" {
			t.Errorf("%s: %v", n, err)
		}
	}
}
