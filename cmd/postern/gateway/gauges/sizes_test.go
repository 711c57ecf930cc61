package gauges_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern/gateway/gauges"
	"postern/cmd/postern/home"
)

// What is stored is counted once a minute; what cannot be counted stays what it was.
func TestStored(t *testing.T) {
	asked, fail := 0, false
	h := &home.Home{Sizes: func(context.Context) ([]home.Size, error) {
		if asked++; fail {
			return nil, errors.New("away")
		}
		return []home.Size{{Of: "intake", Items: int64(asked), Bytes: 10, Cap: 100}, {Of: "records", Items: 2}}, nil
	}}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	age, on := time.Hour, true
	reg := prometheus.NewRegistry()
	reg.MustRegister(&gauges.Stored{
		Sizes: &gauges.Sizes{Home: h, Now: func() time.Time { return now }},
		Ages:  func() (last, full, oldest time.Duration, ok bool, err error) { return age, -1, 2 * age, on, nil },
	})
	read := func() string {
		all, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, f := range all {
			b.WriteString(f.String() + "\n")
		}
		return b.String()
	}
	got := read()
	for _, want := range []string{"postern_state_items", "postern_state_bytes_cap", "postern_backup_age_seconds", "intake", "3600", "7200"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if strings.Contains(got, `value:"full"`) {
		t.Errorf("there is no full one: %s", got)
	}
	fail, on = true, false
	if read(); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	now = now.Add(time.Hour)
	if got := read(); asked != 2 || !strings.Contains(got, "intake") || strings.Contains(got, "backup") {
		t.Errorf("asked %d times: %s", asked, got)
	}
	var none *gauges.Sizes
	if none.Get(t.Context()) != nil {
		t.Error("sizes of nothing")
	}
}
