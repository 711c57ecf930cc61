package local_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"postern/internal/store/local"
	"postern/internal/store/local/localtest"
	"postern/internal/store/storetest"
	"postern/quarantine"
)

// More holds than are sorted once they are found are listed by score as few are, also in a
// database of the schema before, which has no index of scores.
func TestManyByScore(t *testing.T) {
	n := 2600
	if testing.Short() {
		n = 1200
	}
	dir, all := filepath.Join(t.TempDir(), "s"), storetest.Rated(n)
	if err := localtest.Fill(t.Context(), dir, n, func(i int) (quarantine.Hold, []byte) { return all[i], fmt.Append(nil, "body ", i%16) }); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{"DROP INDEX holds_score", "DROP INDEX holds_state_score", "PRAGMA user_version = 4"} {
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := local.Open(t.Context(), local.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	storetest.ByScore(t, h.Holds(), all)
}
