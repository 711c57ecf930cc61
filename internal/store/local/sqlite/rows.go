package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
)

// Querier is a database or a transaction.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Scanner reads the columns of one row.
type Scanner func(dest ...any) error

// Each calls f for each row.
func Each(ctx context.Context, q Querier, query string, args []any, f func(Scanner) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // rows.Err says what went wrong
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Records reads JSON records of one column.
func Records[T any](ctx context.Context, q Querier, query string, args ...any) ([]T, error) {
	var out []T
	err := Each(ctx, q, query, args, func(scan Scanner) error {
		var text string
		var one T
		if err := scan(&text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), &one); err != nil {
			return err
		}
		out = append(out, one)
		return nil
	})
	return out, err
}
