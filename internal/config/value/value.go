// Package value reads the values of a configuration that are more than a word: durations, sizes,
// networks, listeners.
package value

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Duration is a time.Duration written as "5m", "1h30m" or "7d".
type Duration time.Duration

// UnmarshalText reads a Go duration, with d for days.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is no duration; write 30s, 5m, 12h or 7d", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no duration; write 30s, 5m, 12h or 7d", s)
	}
	*d = Duration(v)
	return nil
}

// String is the shortest form that UnmarshalText reads.
func (d Duration) String() string {
	v := time.Duration(d)
	if day := 24 * time.Hour; v > 0 && v%day == 0 {
		return strconv.Itoa(int(v/day)) + "d"
	}
	s := v.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// MarshalYAML writes String.
func (d Duration) MarshalYAML() (any, error) { return d.String(), nil }

// JSONSchema describes the written form.
func (Duration) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^([0-9]+d|([0-9.]+(ns|us|ms|s|m|h))+)$`, Description: "a duration: 30s, 5m, 12h, 7d"}
}

// Size is a number of bytes written as "64kB", "50MB" or "20GB" (powers of 1000) or a plain
// number.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"", 1}}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(b []byte) error {
	for _, u := range sizeUnits {
		num, ok := strings.CutSuffix(string(b), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(num, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is no size; write 64kB, 50MB or 20GB", b)
}

// String is the largest unit that divides the size.
func (s Size) String() string {
	for i := len(sizeUnits) - 2; i >= 0; i-- {
		if u := sizeUnits[i]; s > 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalYAML writes String.
func (s Size) MarshalYAML() (any, error) { return s.String(), nil }

// JSONSchema describes the written form.
func (Size) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Pattern: `^[0-9]+(kB|MB|GB|TB)?$`}, {Type: "integer", Minimum: "0"},
	}, Description: "a size: 64kB, 50MB, 20GB"}
}

// Prefix is a network, or one address.
type Prefix struct{ netip.Prefix }

// UnmarshalText reads "10.0.0.0/24" or "2001:db8::1".
func (p *Prefix) UnmarshalText(b []byte) error {
	s := string(b)
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	v, err := netip.ParsePrefix(s)
	if err != nil {
		return fmt.Errorf("%q is no network; write 10.0.0.0/24 or 2001:db8::/32", s)
	}
	if v.Masked() != v {
		return fmt.Errorf("%q has bits set behind its length; write %s", s, v.Masked())
	}
	p.Prefix = v
	return nil
}

// MarshalYAML writes the network.
func (p Prefix) MarshalYAML() (any, error) { return p.String(), nil }

// JSONSchema describes the written form.
func (Prefix) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Description: "a network (10.0.0.0/24) or an address"}
}

// Prefixes unwraps a list of networks.
func Prefixes(ps []Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(ps))
	for i, p := range ps {
		out[i] = p.Prefix
	}
	return out
}
