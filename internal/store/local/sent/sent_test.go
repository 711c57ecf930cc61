package sent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"postern/abuse/sent"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/senttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(tb testing.TB, dir string) *local.Home {
	tb.Helper()
	h, err := local.Open(context.Background(), local.Options{Dir: dir})
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

func TestSuite(t *testing.T) {
	senttest.Run(t, func(t *testing.T) sent.Store {
		h := open(t, t.TempDir())
		t.Cleanup(func() {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
		return h.Sent()
	})
}

// What Begin has answered is there after a restart, and a cursor goes on where it stood.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir)
	row := senttest.Row(t, 1, "anna@example.com")
	if err := h.Sent().Begin(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	_, cursor, err := h.Sent().Since(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.WantErr(t, "closed", anyErr(h.Sent().Begin(t.Context(), row)), errAny)

	h = open(t, dir)
	defer h.Close()
	if got, err := h.Sent().BySerial(t.Context(), row.Serial); err != nil || got.Account != row.Account {
		t.Errorf("%+v, %v", got, err)
	}
	if err := h.Sent().Begin(t.Context(), senttest.Row(t, 2, "anna@example.com")); err != nil {
		t.Fatal(err)
	}
	rows, _, err := h.Sent().Since(t.Context(), cursor, 10)
	if err != nil || len(rows) != 1 || rows[0].Serial != senttest.Row(t, 2, "").Serial {
		t.Errorf("%d rows, %v", len(rows), err)
	}

	other := open(t, t.TempDir())
	defer other.Close()
	_, _, err = other.Sent().Since(t.Context(), cursor, 1)
	storetest.WantErr(t, "the cursor of another log", err, sent.ErrCursor)
}

var errAny = errors.New("any")

func anyErr(err error) error {
	if err != nil {
		return errAny
	}
	return nil
}

// A session that no longer waits does not hold up the others.
func TestGivenUp(t *testing.T) {
	h := open(t, t.TempDir())
	defer h.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Sent().Begin(ctx, senttest.Row(t, 1, "a")); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := h.Sent().Begin(t.Context(), senttest.Row(t, 2, "a")); err != nil {
		t.Error(err)
	}
}

// BenchmarkBegin is what a row costs: one session, and many side by side.
func BenchmarkBegin(b *testing.B) {
	for _, sessions := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(sessions), func(b *testing.B) {
			h := open(b, b.TempDir())
			defer h.Close()
			rows := make([]sent.Row, b.N)
			for i := range rows {
				rows[i] = senttest.Row(b, i, fmt.Sprintf("u%d@example.com", i%1000))
			}
			next := make(chan int, sessions)
			var wg sync.WaitGroup
			b.ResetTimer()
			for range sessions {
				wg.Go(func() {
					for i := range next {
						r := rows[i]
						err := h.Sent().Begin(b.Context(), r)
						if err == nil {
							err = h.Sent().Settle(b.Context(), r.Serial, []sent.Copy{{Recipient: r.Copies[0].Recipient, State: sent.Delivered, Reply: "250 2.0.0 Ok: queued as 4Zx1Yk2b3Nz9", QueueID: "4Zx1Yk2b3Nz9"}})
						}
						if err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range b.N {
				next <- i
			}
			close(next)
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			if n, size, err := h.Sent().Size(b.Context()); err == nil && n > 0 {
				b.ReportMetric(float64(size)/float64(n), "bytes/row")
			}
		})
	}
}
