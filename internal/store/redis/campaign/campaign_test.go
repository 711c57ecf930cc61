package campaign_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"postern/filter/campaign"
	"postern/filter/campaign/simhash"
	"postern/internal/mailtest/redisd"
	room "postern/internal/store/redis/campaign"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/campaigntest"
)

// patient asks again when a loaded machine is slower than a lookup may be.
type patient struct{ *room.Store }

func (p patient) Near(ctx context.Context, of simhash.Print, bands []simhash.Band) ([]campaign.Group, error) {
	return redistest.Again(func() ([]campaign.Group, error) { return p.Store.Near(ctx, of, bands) })
}

func (p patient) Recent(ctx context.Context, since time.Time, limit int) ([]campaign.Group, error) {
	return redistest.Again(func() ([]campaign.Group, error) { return p.Store.Recent(ctx, since, limit) })
}

func open(t testing.TB, c *conn.Conn, prints int) patient {
	t.Helper()
	s := room.New(c, room.Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: campaigntest.Noon, NewPrints: prints})
	t.Cleanup(func() { s.Close() })
	return patient{s}
}

func TestStore(t *testing.T) {
	s := redistest.Server(t)
	campaigntest.Run(t, func(t testing.TB) campaigntest.Store { return open(t, redistest.Empty(t, s), 0) })
}

func TestStoreOfAnotherHand(t *testing.T) {
	campaigntest.Run(t, func(t testing.TB) campaigntest.Store { return open(t, redistest.Mini(t), 0) })
}

func TestCluster(t *testing.T) {
	o, c := redistest.Cluster(t)
	campaigntest.Run(t, func(t testing.TB) campaigntest.Store {
		redistest.Flush(t, c.Masters(t)...)
		return open(t, redistest.Connect(t, o), 0)
	})
}

func TestTwoNodes(t *testing.T) {
	s := redistest.Server(t)
	one := redistest.Empty(t, s)
	two := redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password})
	campaigntest.Side(t, open(t, one, 0), open(t, two, 0))
}

// TestNewPrintsOfADay writes no more new letters than a day may have, and goes on counting those
// that are known.
func TestNewPrintsOfADay(t *testing.T) {
	s := open(t, redistest.Empty(t, redistest.Server(t)), 10)
	for n := range 15 {
		campaigntest.Add(t, s, campaigntest.Copy(simhash.Print(0x9e3779b97f4a7c15)*simhash.Print(n+1), n))
	}
	if got := s.Dropped(); got != 5 {
		t.Errorf("%d copies were not written", got)
	}
	campaigntest.Add(t, s, campaigntest.Copy(0x9e3779b97f4a7c15, 20))
	got, err := s.Near(t.Context(), 0x9e3779b97f4a7c15, simhash.Print(0x9e3779b97f4a7c15).Bands())
	if err != nil || len(got) != 1 || got[0].Messages != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if n, _, err := s.Size(t.Context()); err != nil || n != 10 {
		t.Errorf("%d prints, %v", n, err)
	}
}

// TestForeignValues reads what somebody else wrote as nothing.
func TestForeignValues(t *testing.T) {
	srv := redistest.Server(t)
	s := open(t, redistest.Empty(t, srv), 0)
	p := simhash.Print(0x0123456789abcdef)
	campaigntest.Add(t, s, campaigntest.Copy(p, 1))
	admin := srv.Client()
	defer admin.Close()
	key := conn.DefaultPrefix + ":{ca" + p.String() + "}:"
	for _, err := range []error{
		admin.HSet(t.Context(), key+"g", "n", "many", "sxx", "1").Err(),
		admin.RPush(t.Context(), key+"c", "{", `{"print":"00000000000000ff","id":"x"}`).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Near(t.Context(), p, p.Bands()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := s.Copies(t.Context(), []simhash.Print{p}, 10); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestStoreAway takes copies and loses them, in no more time than it takes to say so.
func TestStoreAway(t *testing.T) {
	srv := redistest.Server(t)
	s := open(t, redistest.Empty(t, srv), 0)
	srv.Stop()
	for n := range 5 {
		if err := s.Add(t.Context(), campaigntest.Copy(1, n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Dropped(); got != 5 {
		t.Errorf("%d of 5 are counted as lost", got)
	}
	if _, err := s.Store.Near(t.Context(), 1, simhash.Print(1).Bands()); err == nil {
		t.Error("a store that is away answers")
	}
}

func BenchmarkNear(b *testing.B) {
	s := open(b, redistest.Empty(b, redistest.Server(b)), 1<<20)
	for n := range 5000 {
		if err := s.Add(b.Context(), campaigntest.Copy(simhash.Print(n)*0x9e3779b97f4a7c15, n%200)); err != nil {
			b.Fatal(err)
		}
		if n%1000 == 0 {
			_ = s.Sync(b.Context())
		}
	}
	_ = s.Sync(b.Context())
	p := simhash.Print(77 * 0x9e3779b97f4a7c15 & (1<<64 - 1))
	for name, bands := range map[string][]simhash.Band{"parts": p.Bands(), "wide": p.Wide()} {
		b.Run(fmt.Sprint(name, " ", len(bands)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Near(b.Context(), p, bands); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
