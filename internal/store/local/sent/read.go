package sent

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"postern/abuse/sent"
	"postern/internal/store/local/sqlite"
)

// BySerial implements sent.Store.
func (s *Store) BySerial(ctx context.Context, serial string) (sent.Row, error) {
	rows, err := s.find(ctx, "SELECT record FROM sent WHERE serial = ?", serial)
	if err == nil && len(rows) == 0 {
		err = fmt.Errorf("%w: %.50s", sent.ErrNotFound, serial)
	}
	if err != nil {
		return sent.Row{}, err
	}
	return rows[0], nil
}

// ByMessageID implements sent.Store.
func (s *Store) ByMessageID(ctx context.Context, id string) ([]sent.Row, error) {
	if id == "" {
		return nil, nil
	}
	return s.find(ctx, byHeader, id, sent.MaxPage)
}

// byHeader says what the index says: without it SQLite does not know that it may be used, and
// reads the whole log.
const byHeader = "SELECT record FROM sent WHERE header = ? AND header <> '' ORDER BY at DESC, serial DESC LIMIT ?"

// ByQueueID implements sent.Store.
func (s *Store) ByQueueID(ctx context.Context, id string) ([]sent.Row, error) {
	return s.find(ctx, "SELECT h.record FROM sent_queue q CROSS JOIN sent h ON h.n = q.n WHERE q.id = ? ORDER BY h.at DESC, h.serial DESC LIMIT ?", id, sent.MaxPage)
}

// ByClient implements sent.Store.
func (s *Store) ByClient(ctx context.Context, ip netip.Addr, port uint16, from, to time.Time) ([]sent.Row, error) {
	if !ip.IsValid() {
		return nil, nil
	}
	return s.find(ctx, "SELECT record FROM sent WHERE ip = ? AND at BETWEEN ? AND ? AND (? = 0 OR port = ?) ORDER BY at DESC, serial DESC LIMIT ?",
		bytesOf(ip), from.UnixMilli(), to.UnixMilli(), int64(port), int64(port), sent.MaxPage)
}

func (s *Store) find(ctx context.Context, query string, args ...any) ([]sent.Row, error) {
	return sqlite.Records[sent.Row](ctx, s.db.R, query, args...)
}

// ByAccount implements sent.Store. A cursor is the place of the last row: its time and serial.
func (s *Store) ByAccount(ctx context.Context, account string, from, to time.Time, cursor string, limit int) ([]sent.Row, string, error) {
	limit = sent.PageSize(limit)
	at, serial, err := sent.PlaceOf(cursor)
	if err != nil {
		return nil, "", err
	}
	if cursor == "" {
		at, serial = to.UnixMilli(), "\xff"
	}
	rows, err := s.find(ctx, "SELECT record FROM sent WHERE account = ? AND at >= ? AND at <= ? AND (at, serial) < (?, ?) ORDER BY at DESC, serial DESC LIMIT ?",
		account, from.UnixMilli(), to.UnixMilli(), at, serial, limit+1)
	if err != nil || len(rows) <= limit {
		return rows, "", err
	}
	return rows[:limit], sent.Place(rows[limit-1]), nil
}

// Since implements sent.Store. A cursor is the log's name and the number of the last change.
func (s *Store) Since(ctx context.Context, cursor string, limit int) (rows []sent.Row, next string, err error) {
	last := int64(0)
	if cursor != "" {
		log, number, _ := strings.Cut(cursor, ":")
		if last, err = strconv.ParseInt(number, 10, 64); err != nil || log != s.log || last < 0 {
			return nil, "", fmt.Errorf("%w: %.40q", sent.ErrCursor, cursor)
		}
	}
	err = sqlite.Each(ctx, s.db.R, "SELECT seq, record FROM sent WHERE seq > ? ORDER BY seq LIMIT ?", []any{last, sent.PageSize(limit)}, func(scan sqlite.Scanner) error {
		var text sql.RawBytes
		var r sent.Row
		if err := scan(&last, &text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &r); err != nil {
			return err
		}
		rows = append(rows, r)
		return nil
	})
	return rows, s.log + ":" + strconv.FormatInt(last, 10), err
}

// Size implements sent.Store.
func (s *Store) Size(ctx context.Context) (rows, bytes int64, err error) {
	err = s.db.R.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM sent), page_count * page_size FROM pragma_page_count(), pragma_page_size()").Scan(&rows, &bytes)
	return rows, bytes, err
}
