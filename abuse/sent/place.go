package sent

import (
	"fmt"
	"strconv"
	"strings"
)

// PageSize is how many rows a page has that asks for limit.
func PageSize(limit int) int {
	switch {
	case limit <= 0:
		return DefaultPer
	case limit > MaxPage:
		return MaxPage
	}
	return limit
}

// Place is the cursor behind a row of an account, in the order of time and serial.
func Place(r Row) string { return strconv.FormatInt(r.At.UnixMilli(), 10) + "-" + r.Serial }

// PlaceOf reads a cursor of Place; "" is no error.
func PlaceOf(cursor string) (at int64, serial string, err error) {
	if cursor == "" {
		return 0, "", nil
	}
	ms, serial, ok := strings.Cut(cursor, "-")
	if at, err = strconv.ParseInt(ms, 10, 64); err != nil || !ok {
		return 0, "", fmt.Errorf("%w: %.60q", ErrCursor, cursor)
	}
	return at, serial, nil
}
