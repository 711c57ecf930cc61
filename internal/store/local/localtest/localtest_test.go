package localtest_test

import (
	"io"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// What was filled in is found as if it had come by mail, and has an end like any other.
func TestFill(t *testing.T) {
	dir := t.TempDir()
	const n = 100
	if err := localtest.Fill(t.Context(), dir, n, func(i int) (quarantine.Hold, []byte) {
		body := []string{"one", "two"}[i%2]
		h := storetest.Hold(i, body)
		h.State, h.V, h.Version = quarantine.Held, quarantine.RecordVersion, 2
		return h, []byte(body)
	}); err != nil {
		t.Fatal(err)
	}
	home, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	s := home.Holds()
	st, err := s.Stats(t.Context())
	if err != nil || st.States[quarantine.Held] != n || st.Bodies != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	for i := range n {
		want := storetest.Hold(i, "")
		h, ok, err := s.FindKey(t.Context(), want.Key, storetest.Start)
		if err != nil || !ok || h.ID != want.ID {
			t.Fatalf("%d: %s, %v, %v", i, h.ID, ok, err)
		}
		h.State, h.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start, By: "me"}
		if i == n-1 {
			r, err := s.Body(t.Context(), h.ID)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(r); string(text) != "two" || err != nil {
				t.Errorf("%q, %v", text, err)
			}
			r.Close()
		}
		if _, err := s.Change(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	if st, err = s.Stats(t.Context()); err != nil || st.Bodies != 0 || st.States[quarantine.Held] != 0 {
		t.Errorf("after all have ended: %+v, %v", st, err)
	}
}
