package limit

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

func TestSessions(t *testing.T) {
	var s Sessions
	for range 2 {
		if !s.Enter(2) {
			t.Fatal("two fit")
		}
	}
	if s.Enter(2) || s.Count() != 2 {
		t.Fatal("a third fits?")
	}
	s.Leave()
	if !s.Enter(2) {
		t.Fatal("the place of who left is free")
	}
}

func TestEnterFrom(t *testing.T) {
	var s Sessions
	ip := netip.MustParseAddr
	a := s.EnterFrom(ip("192.0.2.1"), 2, 3)
	if b := s.EnterFrom(ip("::ffff:192.0.2.1"), 2, 3); a == nil || b == nil {
		t.Fatal("two fit")
	}
	if s.EnterFrom(ip("192.0.2.1"), 2, 3) != nil {
		t.Fatal("a third fits?")
	}
	if s.EnterFrom(ip("192.0.2.2"), 2, 3) == nil {
		t.Fatal("IPv4 neighbours share nothing")
	}
	a()
	if s.EnterFrom(ip("192.0.2.1"), 2, 3) == nil {
		t.Fatal("the place of who left is free")
	}
	var leave []func()
	for i := range 3 {
		leave = append(leave, s.EnterFrom(ip(fmt.Sprintf("2001:db8::%d", i+1)), 2, 3))
	}
	if s.EnterFrom(ip("2001:db8::9"), 2, 3) != nil || s.EnterFrom(ip("2001:db8:0:1::9"), 2, 3) == nil {
		t.Fatal("the /64 counts as a whole")
	}
	for _, l := range leave {
		l()
	}
	if s.EnterFrom(ip("2001:db8::9"), 2, 3) == nil {
		t.Fatal("all left")
	}
}

func TestBytes(t *testing.T) {
	var b Bytes
	if !b.Take(60, 100) || b.Take(41, 100) || !b.Take(40, 100) || b.Used() != 100 {
		t.Fatal("budget")
	}
	b.Give(50)
	if !b.Take(50, 100) || b.Take(1, 100) || b.Take(1<<62, 1<<62) {
		t.Fatal("after giving back")
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if b.Take(10, 1<<20) {
				b.Give(10)
			}
		})
	}
	wg.Wait()
	if b.Used() != 100 {
		t.Fatal(b.Used())
	}
}

func TestFailures(t *testing.T) {
	var f Failures
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 3 {
		if f.Blocked("a", now, 3, time.Minute) {
			t.Fatal("too early")
		}
		f.Add("a", now, time.Minute)
	}
	if !f.Blocked("a", now, 3, time.Minute) || f.Blocked("b", now, 3, time.Minute) {
		t.Fatal("three count, for one key")
	}
	later := now.Add(time.Minute)
	if f.Blocked("a", later, 3, time.Minute) {
		t.Fatal("the window is over")
	}
	f.Add("a", later, time.Minute)
	if f.Blocked("a", later, 2, time.Minute) {
		t.Fatal("a new window starts at one")
	}
	f.Forget("a")
	f.Add("a", later, time.Minute)
	if f.Blocked("a", later, 2, time.Minute) {
		t.Fatal("forgotten failures count")
	}
}

func TestFailuresBounded(t *testing.T) {
	var f Failures
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i := range maxKeys + 10 {
		f.Add(fmt.Sprint("old", i), now, time.Minute)
	}
	if n := len(f.first); n > maxKeys {
		t.Fatalf("%d keys", n)
	}
	for i := range maxKeys {
		f.Add(fmt.Sprint("new", i), now.Add(time.Hour), time.Minute)
	}
	if f.first["new1"].n == 0 || len(f.first) > maxKeys {
		t.Fatalf("live keys went before dead ones: %d", len(f.first))
	}
}

func TestFilled(t *testing.T) {
	got := Limits{Recipients: 7}.Filled()
	want := Default()
	want.Recipients = 7
	if got != want {
		t.Fatalf("%+v", got)
	}
}
