package entities_test

import (
	"testing"

	"postern/internal/entity"
	"postern/internal/store/redis/conn"
	"postern/internal/store/redis/entities"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/entitytest"
)

func store(t *testing.T, c *conn.Conn, limit int64) *entities.Store {
	t.Helper()
	caps := map[entity.Class]int64{entity.Intake: limit, entity.Evidence: limit}
	s, err := entities.New(entities.Options{Conn: c, Ring: redistest.Ring(t), Caps: caps})
	must(t, err)
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	server := redistest.Server(t)
	entitytest.Home(t, func(t *testing.T) entity.Home { return store(t, redistest.Empty(t, server), 0) })
	t.Run("caps", func(t *testing.T) { entitytest.Caps(t, store(t, redistest.Empty(t, server), 1<<20), 1<<20) })
}

func TestCluster(t *testing.T) {
	o, cluster := redistest.Cluster(t)
	entitytest.Home(t, func(t *testing.T) entity.Home {
		redistest.Flush(t, cluster.Masters(t)...)
		return store(t, redistest.Connect(t, o), 0)
	})
}
