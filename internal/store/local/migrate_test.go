package local_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/local/sqlite"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// schema1 makes a home as the first schema was, with holds whose rows came in another order than
// their IDs say.
func schema1(t *testing.T, dir string, holds []quarantine.Hold) {
	t.Helper()
	script, err := os.ReadFile("schema/postern-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), filepath.Join(dir, "postern.db"), sqlite.Options{Sync: "FULL", Migrations: []sqlite.Migration{sqlite.Script(string(script))}})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Tx(t.Context(), func(tx *sql.Tx) error {
		run := func(query string, args ...any) {
			if _, err := tx.Exec(query, args...); err != nil {
				t.Fatal(err)
			}
		}
		for i, h := range holds {
			text, err := json.Marshal(h)
			if err != nil {
				return err
			}
			run(`INSERT INTO holds (n, id, key, state, class, policy, at, expires, sender, domain, sha, owners, version, record) VALUES (?,?,?,?,?,?,?,?,?,?,?,1,?,?)`,
				i+1, h.ID, h.Key, h.State, h.Class, h.Policy, h.At.UnixMilli(), h.Expires.UnixMilli(), "sender@example.org", "example.org", h.SHA256, h.Version, string(text))
			run("INSERT INTO hold_to VALUES (?, ?), ('@example.com', ?)", h.To[0], h.ID, h.ID)
			run("INSERT INTO hold_symbols VALUES ('SPF_FAIL', ?)", h.ID)
			run("INSERT INTO hold_words (rowid, words) VALUES (?, ?)", i+1, strings.ToLower(h.Subject))
			run("INSERT INTO bodies VALUES (?, 1, 1)", h.SHA256)
		}
		run("INSERT INTO meta VALUES ('clock', 42)")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// A database of the first schema is copied and brought to the present one: everything is found
// that was, newest first, and ends like any other.
func TestMigrationOfHolds(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "s")
	var all []quarantine.Hold
	count := 2500
	if testing.Short() {
		count = 600
	}
	for n := range count {
		h := storetest.Hold(n, fmt.Sprint("body ", n))
		at := storetest.Start.UnixMilli() + int64(n)*1000
		h.ID = fmt.Sprintf("%s%016d-%02d", base32(at/2), n/2, n%2) // two of each message
		h.State, h.Version, h.V = quarantine.Held, 2, quarantine.RecordVersion
		h.Subject, h.To = fmt.Sprintf("Prize number %d", n%7), []string{fmt.Sprintf("u%d@example.com", n%5)}
		all = append(all, h)
	}
	mixed := slices.Clone(all)
	for i := range mixed {
		j := i * 7919 % len(mixed)
		mixed[i], mixed[j] = mixed[j], mixed[i]
	}
	schema1(t, dir, mixed)
	h := reopen(t, dir)
	for name, c := range map[string]struct {
		q    quarantine.Query
		want func(n int) bool
	}{
		"all":                  {quarantine.Query{}, func(int) bool { return true }},
		"word":                 {quarantine.Query{Words: []string{"prize"}}, func(int) bool { return true }},
		"beginning and word":   {quarantine.Query{Words: []string{"pri*", "3"}}, func(n int) bool { return n%7 == 3 }},
		"recipient":            {quarantine.Query{To: "U2@example.com"}, func(n int) bool { return n%5 == 2 }},
		"recipient and word":   {quarantine.Query{To: "u2@example.com", Words: []string{"prize", "4"}}, func(n int) bool { return n%5 == 2 && n%7 == 4 }},
		"sender and recipient": {quarantine.Query{To: "@example.com", From: "Sender@example.org", Symbol: "SPF_FAIL"}, func(int) bool { return true }},
		"domain and word":      {quarantine.Query{From: "@example.org", Words: []string{"1"}}, func(n int) bool { return n%7 == 1 }},
		"null sender and word": {quarantine.Query{From: "<>", Words: []string{"1"}}, func(int) bool { return false }},
		"another symbol":       {quarantine.Query{Symbol: "NONE", To: "@example.com"}, func(int) bool { return false }},
	} {
		var want []string
		for n := len(all) - 1; n >= 0; n-- {
			if c.want(n) {
				want = append(want, all[n].ID)
			}
		}
		q := c.q
		q.Limit = 300
		if got := allPages(t, h, q); !slices.Equal(got, want) {
			t.Errorf("%s: %d holds, want %d: %.70v, want %.70v", name, len(got), len(want), got, want)
		}
	}
	st, err := h.Holds().Stats(t.Context())
	if err != nil || st.States[quarantine.Held] != len(all) {
		t.Errorf("%+v, %v", st, err)
	}
	if at, err := h.Holds().Clock(t.Context()); err != nil || at.UnixMilli() != 42 {
		t.Errorf("what else the database held: %v, %v", at, err)
	}
	gone, err := h.Holds().Get(t.Context(), all[7].ID)
	if err != nil {
		t.Fatal(err)
	}
	gone.State, gone.Ended = quarantine.Deleted, &quarantine.Ended{At: storetest.Start}
	if _, err := h.Holds().Change(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	if n, err := h.Holds().Forget(t.Context(), storetest.Start.AddDate(1, 0, 0)); n != 1 || err != nil {
		t.Errorf("Forget: %d, %v", n, err)
	}
	if got := allPages(t, h, quarantine.Query{Words: []string{"prize", "0"}, Limit: 1000}); slices.Contains(got, gone.ID) || len(got) != (count-1)/7 {
		t.Errorf("after one was forgotten: %d", len(got))
	}
	if _, err := os.Stat(filepath.Join(dir, "postern.db.schema1")); err != nil {
		t.Errorf("the copy: %v", err)
	}
}

func base32(ms int64) string {
	var b [10]byte
	for i := 9; i >= 0; i-- {
		b[i] = "0123456789abcdefghjkmnpqrstvwxyz"[ms&31]
		ms >>= 5
	}
	return string(b[:])
}

// allPages are the IDs of all pages of a query, in order.
func allPages(t *testing.T, h *local.Home, q quarantine.Query) (ids []string) {
	t.Helper()
	for {
		page, err := h.Holds().List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range page.Holds {
			ids = append(ids, h.ID)
		}
		if q.After = page.Next; q.After == "" {
			return ids
		}
	}
}

// Holds that nothing of their ID tells apart stand in the order in which they came; none is
// missed or shown twice, also when the hold a page ended with is gone.
func TestHoldsOfOnePlace(t *testing.T) {
	h := fresh(t)
	var want []string
	for n := range 300 {
		hold := storetest.Hold(n, "x")
		if _, err := h.Holds().Put(t.Context(), hold, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := h.Holds().Confirm(t.Context(), []string{hold.ID}); err != nil {
			t.Fatal(err)
		}
		want = append(want, hold.ID)
	}
	slices.Reverse(want)
	if got := allPages(t, h, quarantine.Query{Words: []string{"hello"}, Limit: 7}); !slices.Equal(got, want) {
		t.Errorf("%d holds, want %d", len(got), len(want))
	}
}
