package plan_test

import (
	"testing"
	"time"

	"postern/internal/backup"
	"postern/internal/backup/plan"
)

var start = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

func TestDue(t *testing.T) {
	p := plan.Plan{Full: 72 * time.Hour, Incremental: 24 * time.Hour, Keep: 31 * 24 * time.Hour}
	ago := func(h int) time.Time { return start.Add(-time.Duration(h) * time.Hour) }
	for _, c := range []struct {
		last, full int // hours ago; 0 = never
		want       backup.Kind
		late       bool
	}{
		{0, 0, backup.Full, true},
		{1, 1, "", false},
		{22, 22, "", false},
		{23, 23, backup.Incremental, false},
		{24, 48, backup.Incremental, false},
		{26, 48, backup.Incremental, true},
		{1, 69, backup.Full, false},
		{1, 74, backup.Full, true},
	} {
		a := plan.Age{}
		if c.last > 0 {
			a = plan.Age{Last: ago(c.last), Full: ago(c.full)}
		}
		if got := p.Due(a, start); got != c.want {
			t.Errorf("%d, %d hours ago: due is %q", c.last, c.full, got)
		}
		if got := p.Late(a, ago(1000), start); (got != "") != c.late {
			t.Errorf("%d, %d hours ago: late is %q", c.last, c.full, got)
		}
	}
	if got := p.Late(plan.Age{}, ago(1), start); got != "" {
		t.Errorf("just begun: %q", got)
	}
}
