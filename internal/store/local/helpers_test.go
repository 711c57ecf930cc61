package local_test

import (
	"strings"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// keepOne keeps one confirmed hold.
func keepOne(t testing.TB, h *local.Home) quarantine.Hold {
	t.Helper()
	const body = "Subject: x\r\n\r\nhello\r\n"
	got, err := h.Holds().Put(t.Context(), storetest.Hold(1, body), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Holds().Confirm(t.Context(), []string{got.ID}); err != nil {
		t.Fatal(err)
	}
	return got
}
