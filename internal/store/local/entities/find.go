package entities

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"postern/internal/entity"
	"postern/internal/store/local/sqlite"
)

// where is the condition of a query, its arguments and its order.
func where(q entity.Query, start entity.Cursor) (cond string, args []any, order string) {
	var b strings.Builder
	b.WriteString("k.kind = ? AND k.idx = ? AND k.value = ?")
	args = []any{string(q.Kind), q.Index, q.Value}
	if q.From != 0 || q.To != 0 {
		b.WriteString(" AND k.at BETWEEN ? AND ?")
		args = append(args, q.From, q.To)
	}
	than, order := " < ", "k.at DESC, k.id DESC"
	if q.Rising {
		than, order = " > ", "k.at, k.id"
	}
	if start.ID != "" {
		b.WriteString(" AND (k.at, k.id)" + than + "(?, ?)")
		args = append(args, start.At, start.ID)
	}
	return b.String(), args, order
}

// errPageFull ends the reading of rows.
var errPageFull = errors.New("the page is full")

// Find implements entity.Store.
func (s *Store) Find(ctx context.Context, q entity.Query) (entity.Page, error) {
	start, err := q.Start()
	if err != nil {
		return entity.Page{}, err
	}
	cond, args, order := where(q, start)
	var out entity.Page
	var last entity.Cursor
	weight, per := 0, q.Per()
	err = sqlite.Each(ctx, reader{s}, "SELECT k.at, e.id, e.version, e.data, e.keys FROM entity_keys k JOIN entities e ON e.kind = k.kind AND e.id = k.id WHERE "+
		cond+" ORDER BY "+order+" LIMIT ?", append(args, per+1), func(scan sqlite.Scanner) error {
		r := entity.Record{Kind: q.Kind}
		var at int64
		var keys []byte
		if err := scan(&at, &r.ID, &r.Version, &r.Data, &keys); err != nil {
			return err
		}
		if weight += len(r.Data); len(out.Records) == per || len(out.Records) > 0 && weight > entity.MaxWeight {
			out.Next = last.String()
			return errPageFull
		}
		if err := json.Unmarshal(keys, &r.Keys); err != nil {
			return err
		}
		out.Records, last = append(out.Records, r), entity.Cursor{At: at, ID: r.ID}
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return entity.Page{}, err
	}
	return out, nil
}

// Count implements entity.Store.
func (s *Store) Count(ctx context.Context, q entity.Query, limit int) (n int, err error) {
	cond, args, _ := where(q, entity.Cursor{})
	err = reader{s}.one(ctx, "SELECT count(*) FROM (SELECT 1 FROM entity_keys k WHERE "+cond+" LIMIT ?)", append(args, max(limit, 0)), &n)
	return n, err
}
