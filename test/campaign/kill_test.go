package campaign_test

import (
	"slices"
	"testing"

	"postern/test/rig"
)

// Kills while a real Postfix is behind: what it delivered tells the truth, whatever the
// gateway remembers.
func TestKilledBeforePostfix(t *testing.T) {
	out := rig.Crash{Cycles: pick(60, 3), Seed: 14, Messages: pick(20000, 300), Postfix: true}.Run(t)
	rep := out.Report
	t.Logf("%s\n%s\nto the 220: at most %v of %d; %d temporary files left by kills", out.Result, rep, slices.Max(out.Restarts), len(out.Restarts), out.Temp)
	if !rep.OK() || len(rep.Unfinished)+len(rep.Ambiguous) > 0 {
		t.Error("the book does not balance")
	}
}
