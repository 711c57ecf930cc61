package bayes_test

import (
	"testing"

	"postern/filter/bayes"
)

// TestMemory judges by what it was taught, and by nothing before.
func TestMemory(t *testing.T) {
	var m bayes.Memory
	if j, all := m.Judge([]uint64{2, 4}); j.P != 0.5 || all != (bayes.Count{}) {
		t.Errorf("an empty memory says %+v of %+v", j, all)
	}
	for range 30 {
		m.Learn(bayes.Spam, []uint64{2, 4, 6})
		m.Learn(bayes.Ham, []uint64{8, 10, 6})
	}
	spam, all := m.Judge([]uint64{2, 4, 6})
	ham, _ := m.Judge([]uint64{8, 10, 6})
	if all != (bayes.Count{Spam: 30, Ham: 30}) || spam.Lean <= 0 || ham.Lean >= 0 || spam.Used != 2 {
		t.Errorf("%+v, %+v of %+v", spam, ham, all)
	}
}
