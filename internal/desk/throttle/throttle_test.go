package throttle_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"postern/internal/desk/throttle"
)

func TestThrottle(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	th := &throttle.Throttle[netip.Prefix]{Burst: 3, Every: 10 * time.Second, Sources: 100, Now: func() time.Time { return now }}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for i := range 3 {
		if w := th.Wait(throttle.Source(a)); w != 0 {
			t.Errorf("try %d waits %v", i, w)
		}
		th.Note(throttle.Source(a))
	}
	if w := th.Wait(throttle.Source(a)); w != 10*time.Second {
		t.Errorf("after the burst: %v", w)
	}
	if w := th.Wait(throttle.Source(netip.MustParseAddr("::ffff:192.0.2.1"))); w != 10*time.Second {
		t.Errorf("the same host in IPv6 writing: %v", w)
	}
	if w := th.Wait(throttle.Source(b)); w != 0 {
		t.Errorf("another source: %v", w)
	}
	now = now.Add(10 * time.Second)
	if w := th.Wait(throttle.Source(a)); w != 0 {
		t.Errorf("one slot later: %v", w)
	}
	for range 3 {
		th.Note(throttle.Source(b))
	}
	if th.Wait(throttle.Source(netip.MustParseAddr("2001:db8::ffff"))) == 0 || th.Wait(throttle.Source(netip.MustParseAddr("2001:db8:0:1::1"))) != 0 {
		t.Error("a source in IPv6 is a /64")
	}
	if th.Wait(throttle.Source(netip.Addr{})) != 0 {
		t.Error("no address is a source like another")
	}
}

func TestManySources(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	th := &throttle.Throttle[netip.Prefix]{Burst: 2, Every: time.Minute, Sources: 100, Now: func() time.Time { return now }}
	worst := netip.MustParseAddr("192.0.2.1")
	for range 5 {
		th.Note(throttle.Source(worst))
	}
	for i := range 10_000 {
		th.Note(throttle.Source(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/250, i%250))))
	}
	if th.Wait(throttle.Source(worst)) == 0 {
		t.Error("who owes most is forgotten before those who owe least")
	}
}
