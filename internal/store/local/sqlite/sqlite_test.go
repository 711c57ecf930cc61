package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/store/local/sqlite"
)

var v1 = []string{"CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('old');"}

func open(t *testing.T, path string, steps ...string) (*sqlite.DB, error) {
	t.Helper()
	var all []sqlite.Migration
	for _, text := range steps {
		all = append(all, sqlite.Script(text))
	}
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Sync: "FULL", Migrations: all, Check: true})
	if err == nil {
		t.Cleanup(func() { db.Close() })
	}
	return db, err
}

func values(t *testing.T, db *sql.DB) string {
	t.Helper()
	var s string
	if err := db.QueryRow("SELECT group_concat(a) FROM t").Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b%20?#.db")
	db, err := open(t, path, v1...)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".schema0"); err == nil {
		t.Error("a new file was copied")
	}
	// A copy an earlier attempt left half written is replaced.
	if err := os.WriteFile(path+".schema1.tmp", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err = open(t, path, v1[0], "INSERT INTO t VALUES ('new');", "INSERT INTO t VALUES ('newer');")
	if err != nil {
		t.Fatal(err)
	}
	if got := values(t, db.R); got != "old,new,newer" {
		t.Errorf("migrated: %s", got)
	}
	copied, err := open(t, path+".schema1", v1...)
	if err != nil {
		t.Fatal(err)
	}
	if got := values(t, copied.R); got != "old" {
		t.Errorf("the copy: %s", got)
	}
	if info, err := os.Stat(path + ".schema1"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	db.Close()
	if _, err := open(t, path, v1...); err == nil || !strings.Contains(err.Error(), "newer version") || !strings.Contains(err.Error(), path) {
		t.Errorf("a file of a newer version: %v", err)
	}
}

func TestMigrationFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := open(t, path, v1...)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	_, err = open(t, path, v1[0], "INSERT INTO t VALUES ('half'); INSERT INTO nowhere VALUES (1);")
	if err == nil || !strings.Contains(err.Error(), "migration to schema 2") {
		t.Fatalf("a migration that fails: %v", err)
	}
	if db, err = open(t, path, v1...); err != nil {
		t.Fatal(err)
	}
	if got := values(t, db.R); got != "old" {
		t.Errorf("after a migration that failed: %s", got)
	}
}

func TestSettings(t *testing.T) {
	db, err := open(t, filepath.Join(t.TempDir(), "x.db"), v1...)
	if err != nil {
		t.Fatal(err)
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1", "trusted_schema": "0"} {
		var got string
		if err := db.W.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, want %s, %v", pragma, got, want, err)
		}
	}
	if _, err := db.R.Exec("INSERT INTO t VALUES ('x')"); err == nil {
		t.Error("a reader wrote")
	}
}

func TestTx(t *testing.T) {
	db, err := open(t, filepath.Join(t.TempDir(), "x.db"), v1...)
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("stop")
	insert := func(value string, end error) error {
		return db.Tx(t.Context(), func(tx *sql.Tx) error {
			if _, err := tx.Exec("INSERT INTO t VALUES (?)", value); err != nil {
				return err
			}
			return end
		})
	}
	if err := insert("no", stop); !errors.Is(err, stop) {
		t.Errorf("Tx: %v", err)
	}
	if err := insert("yes", nil); err != nil {
		t.Error(err)
	}
	if got := values(t, db.R); got != "old,yes" {
		t.Errorf("values: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Tx(ctx, func(*sql.Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Tx with a cancelled context: %v", err)
	}
}

func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	db, err := open(t, path, v1[0], "CREATE TABLE big (a TEXT); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM c WHERE n < 2000) INSERT INTO big SELECT hex(randomblob(50)) FROM c;")
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(b []byte) []byte{
		"header":  func(b []byte) []byte { copy(b, "not a database"); return b },
		"pages":   func(b []byte) []byte { clear(b[8192:40960]); return b },
		"cut off": func(b []byte) []byte { return b[:len(b)/2] },
		"garbage": func(b []byte) []byte { return []byte(strings.Repeat("garbage", 1000)) },
	} {
		if err := os.WriteFile(path, spoil(append([]byte{}, whole...)), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := open(t, path, v1...)
		var damaged *sqlite.DamageError
		if !errors.As(err, &damaged) || damaged.Path != path || !strings.Contains(err.Error(), "restore") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenWhatIsNoFile(t *testing.T) {
	if _, err := open(t, t.TempDir(), v1...); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := open(t, filepath.Join(t.TempDir(), "none", "x.db"), v1...); err == nil {
		t.Error("a file in no folder was opened")
	}
}

type coded int

func (c coded) Error() string { return fmt.Sprint(int(c)) }
func (c coded) Code() int     { return int(c) }

func TestFaultOf(t *testing.T) {
	for err, want := range map[error]sqlite.Fault{
		nil:            sqlite.Other,
		errors.New(""): sqlite.Other,
		coded(5):       sqlite.Other,   // SQLITE_BUSY
		coded(13):      sqlite.Full,    // SQLITE_FULL
		coded(1034):    sqlite.Broken,  // SQLITE_IOERR_FSYNC
		coded(1290):    sqlite.Broken,  // SQLITE_IOERR_DIR_FSYNC
		coded(778):     sqlite.Broken,  // SQLITE_IOERR_WRITE
		coded(11):      sqlite.Damaged, // SQLITE_CORRUPT
		coded(267):     sqlite.Damaged, // SQLITE_CORRUPT_VTAB
		coded(26):      sqlite.Damaged, // SQLITE_NOTADB
	} {
		if got := sqlite.FaultOf(fmt.Errorf("wrapped: %w", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
