package nodes_test

import (
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/gateway"
	"postern/internal/mailtest"
	"postern/test/rig"
	"postern/test/world"
)

// TestDurabilityRedis trusts Redis alone, and says so; with strict settings that Redis does not
// have are said as well.
func TestDurabilityRedis(t *testing.T) {
	s := single(t)
	admin(t, s, "CONFIG", "SET", "appendfsync", "everysec")
	b := mailtest.NewBackend(t, mailtest.Script{Mailboxes: rig.Mailboxes()})
	f := rig.NewFleet(t, at(s.Addr)+", durability: redis", rig.Options{Behind: b.Addr()})
	f.Start()
	r := f.Nodes[0]
	back(t, "at first", r)
	if !strings.Contains(r.Log(), "store.durability is redis") {
		t.Error("nobody said that Redis alone is trusted")
	}
	var st gateway.Status
	world.Await(t, "the settings are looked at", time.Minute, func() bool {
		r.Call("status", struct{}{}, &st)
		return len(st.Store.Lax) > 0
	})
	if len(st.Store.Lax) != 1 || !strings.Contains(st.Store.Lax[0], "appendfsync") || st.Store.Journal != nil {
		t.Errorf("%+v", st.Store)
	}
	admin(t, s, "FLUSHALL")
	if holds := r.Holds(); len(holds) != 0 {
		t.Errorf("%d holds came back without a journal", len(holds))
	}
	back(t, "emptied", r)
}
