package xarf

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"postern/abuse/complaint/claim"
)

// Bounds of a document.
const (
	bytesMost = 8 << 20
	depthMost = 16
	itemsMost = 5000 // values of all kinds
)

// ErrBounds means that a document is larger, deeper or has more values than is read.
var ErrBounds = errors.New("xarf: the document is beyond what is read")

// measure looks at the shape of a document before anything is built from it.
func measure(data []byte) error {
	if len(data) > bytesMost {
		return ErrBounds
	}
	depth, items, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > depthMost {
				return ErrBounds
			}
			items++
		case c == '}' || c == ']':
			depth--
		case c == ',':
			items++
		}
		if items > itemsMost {
			return ErrBounds
		}
	}
	return nil
}

// object is a JSON object whose values are read when asked for, by their exact names.
type object map[string]json.RawMessage

func (o object) object(name string) object {
	var v object
	if json.Unmarshal(o[name], &v) != nil {
		return nil
	}
	return v
}

func (o object) list(name string) []json.RawMessage {
	var v []json.RawMessage
	if json.Unmarshal(o[name], &v) != nil {
		return nil
	}
	return v
}

// raw is a string value as it stands; numbers count.
func (o object) raw(name string) string {
	var s string
	if json.Unmarshal(o[name], &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(o[name], &n) == nil {
		return n.String()
	}
	return ""
}

// text is the first of several names that has a value.
func (o object) text(names ...string) string {
	for _, n := range names {
		if s := claim.Text(o.raw(n)); s != "" {
			return s
		}
	}
	return ""
}

func (o object) number(names ...string) int {
	for _, n := range names {
		if v, err := strconv.ParseInt(strings.TrimSpace(o.raw(n)), 10, 32); err == nil {
			return int(v)
		}
	}
	return 0
}

func (o object) yes(name string) (value, said bool) {
	said = json.Unmarshal(o[name], &value) == nil && len(o[name]) > 0
	return value, said
}
