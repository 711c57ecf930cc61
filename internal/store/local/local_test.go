package local_test

import (
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/blocklist"
	"postern/internal/record"
	"postern/internal/relay/outbox"
	"postern/internal/store/local"
	"postern/internal/store/storetest"
	"postern/internal/store/storetest/desktest"
	"postern/internal/store/storetest/recordtest"
	"postern/internal/store/storetest/reportstest"
	"postern/quarantine"
)

// fresh opens a home in a new folder and closes it with the test.
func fresh(t testing.TB) *local.Home {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "state"))
}

func reopen(t testing.TB, dir string) *local.Home {
	t.Helper()
	h, err := local.Open(t.Context(), local.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func TestHolds(t *testing.T) {
	storetest.Holds(t, func(t testing.TB) quarantine.Store { return fresh(t).Holds() })
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	h := reopen(t, dir)
	keepOne(t, h)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOutbox(t *testing.T) { storetest.Outbox(t, fresh(t).Outbox()) }
func TestOutboxModel(t *testing.T) {
	storetest.OutboxModel(t, func(t testing.TB) outbox.Store { return fresh(t).Outbox() })
}
func TestLists(t *testing.T)           { desktest.Lists(t, fresh(t).Lists()) }
func TestReportsCounted(t *testing.T)  { reportstest.Counts(t, fresh(t).Reports()) }
func TestReportsReceived(t *testing.T) { reportstest.Received(t, fresh(t).Reports()) }
func TestAccounts(t *testing.T)        { desktest.Accounts(t, fresh(t).Accounts()) }
func TestAudit(t *testing.T)           { recordtest.Audit(t, fresh(t).Audit()) }
func TestTraffic(t *testing.T)         { recordtest.Traffic(t, fresh(t).Traffic()) }

// TestSurvivesReopen closes a home and opens it again: everything is as it was, a claim on
// an outbox entry is void, a provisional hold has no owner left.
func TestSurvivesReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	h := reopen(t, dir)
	held := keepOne(t, h)
	prov, err := h.Holds().Put(t.Context(), storetest.Hold(2, "p"), strings.NewReader("p"))
	if err != nil {
		t.Fatal(err)
	}
	entry := storetest.Entry(1, "o")
	if _, err := h.Outbox().Add(t.Context(), entry, strings.NewReader("o")); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := h.Outbox().Claim(t.Context(), entry.Next, time.Hour); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := h.Lists().PutListEntry(t.Context(), blocklist.Entry{Value: "a", Scope: "all"}); err != nil {
		t.Fatal(err)
	}
	h.Traffic().Add(record.Row{ID: "row", To: []record.Fate{}, Symbols: []string{}})
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	h = reopen(t, dir)
	if got, err := h.Holds().Get(t.Context(), held.ID); err != nil || got.State != quarantine.Held {
		t.Errorf("the hold: %s, %v", got.State, err)
	}
	if got, ok, err := h.Holds().FindKey(t.Context(), held.Key, storetest.Start); got.ID != held.ID || !ok || err != nil {
		t.Errorf("the key of the hold: %q, %v, %v", got.ID, ok, err)
	}
	if rev, err := h.Lists().ListRevision(t.Context()); err != nil || rev != 1 {
		t.Errorf("list revision: %d, %v", rev, err)
	}
	if _, crashed, ok, err := h.Outbox().Claim(t.Context(), entry.Next, time.Hour); !ok || !crashed || err != nil {
		t.Errorf("claim after a restart: crashed %v, ok %v, %v", crashed, ok, err)
	}
	again := storetest.Hold(3, "p")
	again.Key = prov.Key
	if got, err := h.Holds().Put(t.Context(), again, strings.NewReader("p")); err != nil || got.ID != prov.ID {
		t.Fatalf("the retry: %s, %v", got.ID, err)
	}
	if err := h.Holds().Drop(t.Context(), []string{prov.ID}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Holds().Get(t.Context(), prov.ID); err == nil {
		t.Error("the dead session still owns the provisional hold")
	}
	if page, err := h.Traffic().Find(t.Context(), record.Trace{ID: "row"}); err != nil || len(page.Rows) != 1 {
		t.Errorf("the row: %d, %v", len(page.Rows), err)
	}
}

// TestAuditOnlyGrows tries what somebody with the file at hand would try first.
func TestAuditOnlyGrows(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	h := reopen(t, dir)
	for range 3 {
		if _, err := h.Audit().Append(t.Context(), record.Entry{Actor: "me", Action: "release"}); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"UPDATE audit SET entry = '{}'", "DELETE FROM audit"} {
		if _, err := db.Exec(q); err == nil {
			t.Errorf("%s was allowed", q)
		}
	}
	if _, err := db.Exec(`DROP TRIGGER audit_stays; UPDATE audit SET entry = replace(entry, '"me"', '"you"') WHERE seq = 2`); err != nil {
		t.Fatal(err)
	}
	var broken *record.BrokenError
	if _, err := record.Verify(t.Context(), h.Audit()); !errors.As(err, &broken) || broken.Seq != 2 {
		t.Errorf("a changed entry: %v", err)
	}
}
