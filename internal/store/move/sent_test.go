package move_test

import (
	"testing"

	"postern/internal/store/storetest/senttest"
)

func TestSendLog(t *testing.T) {
	from, to := home(t), home(t)
	for n := range 450 {
		ok(t, from.Sent.Begin(t.Context(), senttest.Row(t, n, "anna@example.com")))
	}
	ok(t, to.Sent.Begin(t.Context(), senttest.Row(t, 7, "anna@example.com")))
	for range 2 {
		out := must(mover(from, to).Run(t.Context()))(t)
		if rows, _, err := to.Sent.Size(t.Context()); out.Sent != 450 || rows != 450 || err != nil {
			t.Errorf("%d rows moved, %d there, %v", out.Sent, rows, err)
		}
	}
}
