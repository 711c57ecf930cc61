// Package mmdb writes small files in the MaxMind DB format for tests.
package mmdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Map is a record, or a part of one: strings, float64, uint32 and Maps by name.
type Map = map[string]any

// Country is a record of a country, as most publishers write it.
func Country(iso string) Map { return Map{"country": Map{"iso_code": iso}} }

// City is a record of a country with a place in it.
func City(iso string, lat, lon float64) Map {
	m := Country(iso)
	m["location"] = Map{"latitude": lat, "longitude": lon, "accuracy_radius": uint32(20)}
	return m
}

// ASN is a record of an operator.
func ASN(n uint32) Map { return Map{"autonomous_system_number": n} }

// Write puts a file with a record for each network at path, whole at once.
func Write(tb testing.TB, path string, records map[string]Map) {
	tb.Helper()
	tmp := filepath.Join(tb.TempDir(), "new.mmdb")
	if err := os.WriteFile(tmp, Bytes(records, time.Now()), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		tb.Fatal(err)
	}
}

// none is a side of a node where nothing is known.
const none = -1

type node [2]int // a node, none, or -2-(offset of its data)

// Bytes is such a file. It panics on what no file can hold: only tests call it.
func Bytes(records map[string]Map, built time.Time) []byte {
	tree := []node{{none, none}}
	var data bytes.Buffer
	for _, network := range slices.Sorted(maps.Keys(records)) {
		p := netip.MustParsePrefix(network)
		bits, raw := p.Bits(), p.Addr().As16()
		if p.Addr().Is4() { // IPv4 is at ::/96
			raw[10], raw[11] = 0, 0
			bits += 96
		}
		at := 0
		for i := range bits {
			side := int(raw[i/8]>>(7-i%8)) & 1
			if i == bits-1 {
				tree[at][side] = -2 - data.Len()
				break
			}
			if tree[at][side] < 0 {
				tree = append(tree, node{none, none})
				tree[at][side] = len(tree) - 1
			}
			at = tree[at][side]
		}
		encode(&data, records[network])
	}
	var out bytes.Buffer
	for _, n := range tree {
		for _, side := range n {
			v := side
			switch {
			case side == none:
				v = len(tree)
			case side < none:
				v = len(tree) + 16 + (-2 - side)
			}
			out.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	encode(&out, Map{
		"binary_format_major_version": uint32(2), "binary_format_minor_version": uint32(0), "build_epoch": uint32(built.Unix()),
		"database_type": "Test", "description": Map{"en": "made by a test"}, "ip_version": uint32(6), "node_count": uint32(len(tree)), "record_size": uint32(24),
	})
	return out.Bytes()
}

func encode(w *bytes.Buffer, v any) {
	control := func(kind, size int) {
		if size > 28 {
			w.Write([]byte{byte(kind<<5 | 29), byte(size - 29)})
			return
		}
		w.WriteByte(byte(kind<<5 | size))
	}
	switch v := v.(type) {
	case Map:
		control(7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			encode(w, k)
			encode(w, v[k])
		}
	case string:
		control(2, len(v))
		w.WriteString(v)
	case float64:
		control(3, 8)
		w.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case uint32:
		control(6, 4)
		w.Write(binary.BigEndian.AppendUint32(nil, v))
	default:
		panic(fmt.Sprintf("%T", v))
	}
}
