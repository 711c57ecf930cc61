package desk

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"postern/internal/record"
	"postern/internal/store/local/ground"
	"postern/internal/store/local/sqlite"
)

// Audit implements record.AuditStore. The table refuses updates and deletes.
type Audit struct {
	ground *ground.Ground
}

// NewAudit is the audit in the database of g.
func NewAudit(g *ground.Ground) *Audit { return &Audit{ground: g} }

// Append implements record.AuditStore.
func (a *Audit) Append(ctx context.Context, e record.Entry) (record.Entry, error) {
	err := a.ground.Write(ctx, func(tx *sql.Tx) error {
		var last record.Entry
		err := tx.QueryRowContext(ctx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").Scan(&last.Seq, &last.Hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if e, err = record.Seal(last, e); err != nil {
			return err
		}
		text, err := json.Marshal(e)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO audit VALUES (?, ?, ?)", e.Seq, e.Hash, string(text))
		return err
	})
	return e, err
}

// Entries implements record.AuditStore.
func (a *Audit) Entries(ctx context.Context, after int64, limit int) ([]record.Entry, error) {
	return sqlite.Records[record.Entry](ctx, a.ground.R, "SELECT entry FROM audit WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
}
