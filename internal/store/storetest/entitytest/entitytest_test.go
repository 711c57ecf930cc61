package entitytest_test

import (
	"testing"

	"postern/internal/entity"
	"postern/internal/mailtest/entities"
	"postern/internal/store/storetest/entitytest"
)

func TestMemory(t *testing.T) {
	entitytest.Home(t, func(*testing.T) entity.Home { return &entities.Memory{} })
	t.Run("caps", func(t *testing.T) {
		entitytest.Caps(t, &entities.Memory{Cap: map[entity.Class]int64{entity.Intake: 1 << 20, entity.Evidence: 1 << 20}}, 1<<20)
	})
}
