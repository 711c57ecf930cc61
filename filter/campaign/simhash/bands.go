package simhash

import (
	"cmp"
	"fmt"
	"strconv"
)

// The bands: a print is filed under each of its four parts, and near ones are those that share
// a part, or nearly so.
const (
	bandCount = 4
	bandBits  = 16
)

// Band is a part of a print: its number and its value.
type Band uint32

// Bands are the parts of a print. Two prints that differ in at most three bits share one.
func (p Print) Bands() []Band {
	out := make([]Band, 0, bandCount)
	for n := range bandCount {
		out = append(out, Band(n<<bandBits)|Band(uint64(p)>>(n*bandBits)&(1<<bandBits-1)))
	}
	return out
}

// Wide are the parts of a print and those that differ from them in one bit. Two prints that
// differ in at most seven bits meet in one; of those that differ in Near nearly all do.
func (p Print) Wide() []Band {
	out := p.Bands()
	for _, b := range p.Bands() {
		for bit := range bandBits {
			out = append(out, b^1<<bit)
		}
	}
	return out
}

// String is the print in 16 hexadecimal digits.
func (p Print) String() string { return fmt.Sprintf("%016x", uint64(p)) }

// Parse reads what String wrote.
func Parse(s string) (Print, error) {
	n, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 || n == 0 {
		return 0, fmt.Errorf("%q is no print: 16 hexadecimal digits", s)
	}
	return Print(n), nil
}

// MarshalText implements encoding.TextMarshaler.
func (p Print) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Print) UnmarshalText(b []byte) (err error) {
	*p, err = Parse(string(b))
	return err
}

// ByDistance compares prints by how far they are from p, and by value where that is the same.
func ByDistance(p Print) func(a, b Print) int {
	return func(a, b Print) int {
		if c := cmp.Compare(Apart(p, a), Apart(p, b)); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	}
}
