package localtest

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"

	"postern/internal/entity"
	"postern/internal/store/local"
	"postern/internal/store/local/sqlite"
)

// FillRecords writes records of rooms into a home that nobody has open, without waiting for the
// disk.
func FillRecords(ctx context.Context, dir string, all []entity.Record) error {
	h, err := local.Open(ctx, local.Options{Dir: dir})
	if err != nil {
		return err
	}
	if err := h.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "postern.db")+"?"+careless)
	if err != nil {
		return err
	}
	w := sqlite.DB{W: db}
	for first := 0; first < len(all) && err == nil; first += perTx {
		err = w.Tx(ctx, func(tx *sql.Tx) error { return records(ctx, tx, all[first:min(first+perTx, len(all))]) })
	}
	return errors.Join(err, db.Close())
}

func records(ctx context.Context, tx *sql.Tx, all []entity.Record) error {
	for _, r := range all {
		keys, err := json.Marshal(r.Keys)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO entities (kind, id, version, data, keys) VALUES (?, ?, ?, ?, ?)", string(r.Kind), r.ID, r.Version, r.Data, string(keys)); err != nil {
			return err
		}
		for _, k := range entity.Unique(r.Keys) {
			if _, err := tx.ExecContext(ctx, "INSERT INTO entity_keys (kind, idx, value, at, id) VALUES (?, ?, ?, ?, ?)", string(r.Kind), k.Index, k.Value, k.At, r.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
