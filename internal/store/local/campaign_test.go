package local_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"postern/filter/campaign/simhash"
	"postern/internal/store/local"
	"postern/internal/store/storetest/campaigntest"
)

// TestDamagedCampaigns: what was remembered of letters holds no promise, so a damaged file stops
// nothing, and what was there before is set aside.
func TestDamagedCampaigns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	path := filepath.Join(dir, "campaign.db")
	const p = simhash.Print(0x0123456789abcdef)
	for round, want := range []int{1, 2, 1} {
		if round == 2 {
			if err := os.WriteFile(path, []byte("this is no database, however it is looked at, and never was one"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		h, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		campaigntest.Add(t, h.Campaigns(), campaigntest.Copy(p, round))
		got, err := h.Campaigns().Near(t.Context(), p, p.Bands())
		if err != nil || len(got) != 1 || got[0].Messages != want {
			t.Errorf("round %d: %+v, %v", round, got, err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path + ".damaged"); (err == nil) != (round == 2) {
			t.Errorf("round %d: set aside: %v", round, err)
		}
	}
}
