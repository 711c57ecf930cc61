package move

import (
	"encoding/json"
	"strconv"
)

// mark is the number of an entry as JSON.
func mark(seq int64) json.RawMessage { return strconv.AppendInt(nil, seq, 10) }

// number reads what mark wrote; 0 for anything else.
func number(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
