package setup_test

import (
	"log/slog"
	"testing"

	"postern/cmd/postern/setup"
	"postern/internal/config"
)

// Pictures are read where the configuration says so and there is a program that does.
func TestPictures(t *testing.T) {
	on, off := config.Default(), config.Default()
	off.QRCodes = false
	for name, x := range map[string]struct {
		c    *config.Config
		self string
		want bool
	}{
		"by default":        {on, "/usr/bin/postern", true},
		"switched off":      {off, "/usr/bin/postern", false},
		"without a program": {on, "", false},
	} {
		if got := setup.Pictures(x.c, x.self, slog.New(slog.DiscardHandler)); (got != nil) != x.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if why := setup.NeedsRestart(on, off); why != "qr_codes" {
		t.Errorf("switching it off needs a restart of %q", why)
	}
}
