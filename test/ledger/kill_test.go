package ledger_test

import (
	"testing"

	"postern/test/rig"
)

// Ten times kill -9 in the middle of the load. Whoever got no answer comes again.
func TestKilledTenTimes(t *testing.T) {
	out := rig.Crash{Cycles: 10, Seed: 2, Messages: 2500}.Run(t)
	t.Logf("%s\n%s\nto the 220: %v; %d temporary files left by kills", out.Result, out.Report, out.Restarts, out.Temp)
	rep := out.Report
	if !rep.OK() || len(rep.Unfinished)+len(rep.Ambiguous) > 0 {
		t.Error("the book does not balance")
	}
	if rep.Silent == 0 || out.Temp == 0 {
		t.Error("no kill met a message on its way")
	}
}
