// Package header reads header blocks as they come in the wild: folded, damaged, with names
// and lines that no standard allows, and decodes what a person would be shown.
package header

// Field is one header field.
type Field struct {
	Name   string // as written, without blanks before the colon and without NULs
	Value  string // raw value, unfolded, outer blanks removed; may hold 8-bit bytes
	Raw    []byte // the exact bytes of all its lines, line ends included
	Offset int64  // of Raw in the bytes the header was read from
}

// Header is a header block in the order written.
type Header struct {
	Fields []Field
}

// Mailbox is one author as a mail program shows it.
type Mailbox struct {
	Name    string // display name, decoded; "" if none
	Address string // what stands between the angle brackets, or the bare address
	Domain  string // lower-case domain of Address; "" if it has none
}

// Get returns the raw value of the first field of that name, or "".
func (h *Header) Get(name string) string { return "" }

// All returns the raw values of all fields of that name in order.
func (h *Header) All(name string) []string { return nil }

// Decoded returns the first field of that name with its encoded words (RFC 2047) decoded.
func (h *Header) Decoded(name string) string { return "" }
