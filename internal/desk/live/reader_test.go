package live_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is a reader who takes a few lines and then none.
type deaf struct {
	*httptest.ResponseRecorder
	takes int
}

func (d *deaf) Write(b []byte) (int, error) {
	if d.takes--; d.takes < 0 {
		return 0, errors.New("too slow")
	}
	return len(b), nil
}

// TestDeaf has a stream end whose reader does not take what it says, at whatever line.
func TestDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for takes := range 3 {
			w := newWorld()
			ran := make(chan struct{})
			go func() { _ = w.hub.Run(t.Context()); close(ran) }()
			r := httptest.NewRequest(http.MethodGet, "/live", nil)
			r.Header.Set("X-User", "olga")
			begun := time.Now()
			w.handler().ServeHTTP(&deaf{httptest.NewRecorder(), takes}, r)
			if n := w.hub.Open(); n != 0 || time.Since(begun) > time.Minute {
				t.Errorf("after %d lines: %d streams, %s", takes, n, time.Since(begun))
			}
		}
	})
}

// TestLate has a second reader told at once where things stand.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		go func() { _ = w.hub.Run(t.Context()) }()
		first, _ := w.listen(t.Context(), "olga")
		marks(t, first)
		go func() { _, _ = io.Copy(io.Discard, readerOf(first)) }()
		begun := time.Now()
		second, _ := w.listen(t.Context(), "ivan")
		if got := marks(t, second); got["held"] != "1" || time.Since(begun) != 0 {
			t.Errorf("%v after %s", got, time.Since(begun))
		}
		go func() { _, _ = io.Copy(io.Discard, readerOf(second)) }()
	})
}
