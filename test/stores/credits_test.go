package stores_test

import (
	"testing"

	"postern/internal/entity"
	"postern/internal/store/redis/redistest"
	"postern/internal/store/storetest/credittest"
)

// TestCredits has the ledger of credits kept by each home.
func TestCredits(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		credittest.Credits(t, func(t testing.TB) entity.Store { return embedded(t).Entities() })
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Server(t)
		credittest.Credits(t, func(t testing.TB) entity.Store { return shared(t, server).Entities })
	})
}
