package bayestest_test

import (
	"testing"

	"postern/filter/bayes"
	"postern/internal/store/storetest/bayestest"
)

func TestMemory(t *testing.T) {
	bayestest.Run(t, func(testing.TB) bayes.Store { return &bayestest.Memory{} })
}
