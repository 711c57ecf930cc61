package campaigntest_test

import (
	"testing"

	"postern/internal/store/storetest/campaigntest"
)

func TestMemory(t *testing.T) {
	campaigntest.Run(t, func(testing.TB) campaigntest.Store { return &campaigntest.Memory{} })
}
