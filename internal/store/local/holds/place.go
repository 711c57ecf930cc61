package holds

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"postern/internal/store/local/search"
	"postern/internal/store/local/sqlite"
	"postern/quarantine"
)

// The number of a hold is its place in the list: the time in its ID, 14 of the random bits behind
// it, the number of the hold within its message. Holds that no bit of it tells apart stand in the
// order in which they came.
const (
	crockford = "0123456789abcdefghjkmnpqrstvwxyz"
	timeChars = 10        // of an ID, 48 bits
	maxMilli  = 1<<42 - 1 // in the year 2109
	randBits  = 14
	noBits    = 7
	perMilli  = 1 << (randBits + noBits)
	idLen     = 26
)

// place is the number that an ID asks for.
func place(id string) int64 {
	id = strings.ToLower(id)
	ms := digits(id, 0, timeChars)
	random := digits(id, timeChars, 3) >> (15 - randBits)
	no := int64(0)
	for _, c := range id[min(idLen+1, len(id)):] {
		if c < '0' || c > '9' || no > 1<<noBits {
			break
		}
		no = 10*no + int64(c-'0')
	}
	return min(ms, maxMilli-1)<<(randBits+noBits) | random<<noBits | min(no, 1<<noBits-1)
}

// digits reads some characters of an ID; one that is no digit counts as 0.
func digits(id string, from, n int) (out int64) {
	for i := from; i < from+n; i++ {
		out <<= 5
		if i < len(id) {
			out |= int64(max(strings.IndexByte(crockford, id[i]), 0))
		}
	}
	return out
}

// freePlace is the number that a new hold gets.
func freePlace(ctx context.Context, tx *sql.Tx, id string) (int64, error) {
	n := place(id)
	for {
		var last sql.NullInt64
		err := tx.QueryRowContext(ctx, "SELECT CASE WHEN EXISTS (SELECT 1 FROM holds WHERE n = ?1) THEN (SELECT max(n) FROM holds WHERE n >= ?1 AND n < ?2) END", n, n+perMilli).Scan(&last)
		if err != nil || !last.Valid {
			return n, err
		}
		n = last.Int64 + 1
	}
}

// placeOf is where a hold stands, or would if it were still there.
func placeOf(ctx context.Context, q *sql.DB, id string) (n int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT n FROM holds WHERE id = ?", id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return place(id), nil
	}
	return n, err
}

// Kinds of marks.
const (
	markTo     = "t"
	markFrom   = "f"
	markDomain = "d"
	markSymbol = "s"
)

// mark is the word that stands for a value in the index of words. Two values may share one: what
// is found is compared.
func mark(kind, value string) string {
	sum := sha256.Sum256([]byte(value))
	return kind + hex.EncodeToString(sum[:6])
}

func marks(h quarantine.Hold) string {
	sender := strings.ToLower(h.From)
	out := []string{mark(markFrom, sender), mark(markDomain, search.Domain(sender))}
	for _, a := range search.AddressKeys(h.To) {
		out = append(out, mark(markTo, a))
	}
	for _, s := range h.Symbols() {
		out = append(out, mark(markSymbol, s))
	}
	return strings.Join(out, " ")
}

func insertWords(ctx context.Context, tx *sql.Tx, n int64, h quarantine.Hold) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO hold_words (rowid, words, marks) VALUES (?, ?, ?)", n, search.Index(h.Subject), marks(h))
	return err
}

// numbered is how many holds are read at once while they are numbered.
const numbered = 1000

// Renumber copies the holds of schema 1 into the table holds_2, each at its place, and their
// words and marks into the new index.
func Renumber(ctx context.Context, tx *sql.Tx) error {
	after, last := "", int64(-1)
	for {
		type row struct {
			n    int64
			id   string
			hold quarantine.Hold
		}
		var page []row
		if err := sqlite.Each(ctx, tx, "SELECT n, id, record FROM holds WHERE id > ? ORDER BY id LIMIT ?", []any{after, numbered}, func(scan sqlite.Scanner) error {
			var r row
			var text string
			if err := scan(&r.n, &r.id, &text); err != nil {
				return err
			}
			// A record that cannot be read keeps its row: it is said when somebody asks for it.
			_ = json.Unmarshal([]byte(text), &r.hold)
			page = append(page, r)
			return nil
		}); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, r := range page {
			last = max(place(r.id), last+1) // in the order of IDs
			if _, err := tx.ExecContext(ctx, `INSERT INTO holds_2 SELECT ?, id, key, state, class, policy, at, expires, ended, next, sender, domain, sha, owners, version, record
				FROM holds WHERE n = ?`, last, r.n); err != nil {
				return err
			}
			if err := insertWords(ctx, tx, last, r.hold); err != nil {
				return err
			}
			after = r.id
		}
	}
}
