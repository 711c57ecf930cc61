package bayes_test

import (
	"context"
	"testing"

	"postern/filter/bayes"
	"postern/internal/mailtest/entities"
	"postern/internal/mailtest/redisd"
	room "postern/internal/store/redis/bayes"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/bayestest"
)

// patient asks again when a loaded machine is slower than a lookup may be.
type patient struct{ *room.Store }

func (p patient) Counts(ctx context.Context, tokens []uint64) ([]bayes.Count, error) {
	return redistest.Again(func() ([]bayes.Count, error) { return p.Store.Counts(ctx, tokens) })
}

func TestCounts(t *testing.T) {
	s := redistest.Server(t)
	bayestest.Run(t, func(t testing.TB) bayes.Store { return patient{room.New(redistest.Empty(t, s))} })
}

func TestCountsOfAnotherHand(t *testing.T) {
	bayestest.Run(t, func(t testing.TB) bayes.Store { return patient{room.New(redistest.Mini(t))} })
}

func TestCluster(t *testing.T) {
	o, c := redistest.Cluster(t)
	bayestest.Run(t, func(t testing.TB) bayes.Store {
		redistest.Flush(t, c.Masters(t)...)
		return patient{room.New(redistest.Connect(t, o))}
	})
}

// TestOneRoundTrip asks for the tokens of a large message.
func TestOneRoundTrip(t *testing.T) {
	c := redistest.Empty(t, redistest.Server(t))
	s := room.New(c)
	tokens := make([]uint64, 2000)
	for i := range tokens {
		tokens[i] = bayestest.Tok(i)
	}
	if _, err := redistest.Again(func() ([]bayes.Count, error) { return s.Counts(t.Context(), tokens[:1]) }); err != nil {
		t.Fatal(err)
	}
	before := c.Trips()
	tries := int64(0)
	if _, err := redistest.Again(func() ([]bayes.Count, error) { tries++; return s.Counts(t.Context(), tokens) }); err != nil {
		t.Fatal(err)
	}
	if got := c.Trips() - before; got > tries {
		t.Errorf("%d round trips in %d tries", got, tries)
	}
}

// TestForeignValues reads what somebody else wrote into the hashes as nothing.
func TestForeignValues(t *testing.T) {
	srv := redistest.Server(t)
	c := redistest.Empty(t, srv)
	s := patient{room.New(c)}
	token := uint64(0x4142434445464748)
	admin := srv.Client()
	defer admin.Close()
	for _, value := range []string{"", "x", "1", "-1 4", "9999999999999 1", "1 2 3"} {
		if err := admin.HSet(t.Context(), conn.DefaultPrefix+":{by4}:t", "ABCDEFGH", value).Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Counts(t.Context(), []uint64{token}); err != nil || got[0] != (bayes.Count{}) {
			t.Errorf("%q is %v, %v", value, got, err)
		}
		if err := s.Reset(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTwoNodes learns from two nodes at once.
func TestTwoNodes(t *testing.T) {
	s := redistest.Server(t)
	one := redistest.Empty(t, s)
	bayestest.Nodes(t, &entities.Memory{}, patient{room.New(one)}, patient{room.New(redistest.Connect(t, conn.Options{Addrs: []string{s.Addr}, User: redistest.User, Password: redisd.Password}))})
}

// TestTwoNodesOnACluster is the same over several masters.
func TestTwoNodesOnACluster(t *testing.T) {
	o, c := redistest.Cluster(t)
	redistest.Flush(t, c.Masters(t)...)
	bayestest.Nodes(t, &entities.Memory{}, patient{room.New(redistest.Connect(t, o))}, patient{room.New(redistest.Connect(t, o))})
}
