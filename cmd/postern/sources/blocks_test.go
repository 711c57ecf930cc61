package sources_test

import (
	"strings"
	"testing"
	"time"

	"postern/abuse/external"
	"postern/abuse/external/order"
	"postern/abuse/external/published"
	"postern/blocklist"
	"postern/cmd/postern/sources"
	"postern/internal/store/local"
)

var (
	_ external.Lists  = sources.Blocks{}
	_ published.Lists = sources.Blocks{}
)

func TestBlocks(t *testing.T) {
	ctx := t.Context()
	home, err := local.Open(ctx, local.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = home.Close() })
	own := blocklist.NewOwn(blocklist.OwnParts{Store: home.Lists()})
	s := sources.Blocks{Own: own, Store: home.Lists()}
	now := time.Now()
	b := order.Block{Scope: order.ByIP, Value: "198.51.100.7", Rule: order.WhenQuiet, Why: "spam\r\nx", By: "anna", At: now, Until: now.Add(time.Hour)}
	listed := func(of string, want bool) {
		t.Helper()
		if got := own.Why(of); (len(got) > 0) != want {
			t.Errorf("%s: %+v, want %v", of, got, want)
		}
	}
	for range 2 {
		if err := s.Block(ctx, b, "A-2026-000001"); err != nil {
			t.Fatal(err)
		}
	}
	listed("198.51.100.7", true)
	if why := own.Why("198.51.100.7")[0].Text; !strings.Contains(why, "A-2026-000001") || !strings.Contains(why, "quiet") {
		t.Error(why)
	}
	// Another case, and a list, take nothing away that is not theirs.
	if err := s.Unblock(ctx, b, "A-2026-000002"); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, "national", []order.Block{b}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(ctx, "national", nil, []order.Block{b}); err != nil {
		t.Fatal(err)
	}
	listed("198.51.100.7", true)
	for range 2 {
		if err := s.Unblock(ctx, b, "A-2026-000001"); err != nil {
			t.Fatal(err)
		}
	}
	listed("198.51.100.7", false)
	net := b
	net.Scope, net.Value, net.Rule = order.ByNet, "198.51.100.0/24", order.WhenDropped
	if err := s.Apply(ctx, "national", []order.Block{b, net}, nil); err != nil {
		t.Fatal(err)
	}
	listed("198.51.100.9", true)
	if err := s.Apply(ctx, "national", []order.Block{b}, []order.Block{net}); err != nil {
		t.Fatal(err)
	}
	listed("198.51.100.9", false)
	listed("198.51.100.7", true)
}
