package bayestest_test

import (
	"testing"

	"postern/filter/bayes"
	"postern/internal/mailtest/entities"
	"postern/internal/store/storetest/bayestest"
)

func TestMemory(t *testing.T) {
	bayestest.Run(t, func(testing.TB) bayes.Store { return &bayestest.Memory{} })
}

func TestTwoNodes(t *testing.T) {
	m := &bayestest.Memory{}
	bayestest.Nodes(t, &entities.Memory{}, m, m)
}
