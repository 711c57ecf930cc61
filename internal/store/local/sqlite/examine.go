package sqlite

import (
	"context"
	"database/sql"
	"strings"
)

// Examine reads one table and its indexes through, on a reading connection; the error is a
// *DamageError when it is damaged. Writers go on meanwhile, and the write-ahead log grows until
// it is done.
func (db *DB) Examine(ctx context.Context, table string) error {
	return damage(db.Path, examine(ctx, db.R, `"`+strings.ReplaceAll(table, `"`, `""`)+`"`))
}

// Tables are the tables that are there.
func (db *DB) Tables(ctx context.Context) ([]string, error) {
	var out []string
	err := Each(ctx, db.R, "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'view' ORDER BY name", nil, func(scan Scanner) error {
		var name string
		err := scan(&name)
		out = append(out, name)
		return err
	})
	return out, damage(db.Path, err)
}

// Peek opens a file that is there for reading alone.
func Peek(path string) (*sql.DB, error) {
	return sql.Open("sqlite", dsn(path, "mode=rw", "_pragma=query_only(1)"))
}

// examine asks for the first thing that is wrong in all of the file, or in a table; SQLite
// reports damage as rows other than "ok".
func examine(ctx context.Context, q *sql.DB, what string) error {
	var said string
	if err := q.QueryRowContext(ctx, "PRAGMA quick_check("+what+")").Scan(&said); err != nil {
		return err
	}
	if said != "ok" {
		return &damaged{said}
	}
	return nil
}

// damaged is what SQLite says of a damaged file.
type damaged struct{ said string }

func (d *damaged) Error() string { return d.said }

// Code is that of an error of the driver.
func (*damaged) Code() int { return codeCorrupt }
