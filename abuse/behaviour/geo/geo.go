// Package geo reads from mmdb files where addresses are: their country, their place, the
// operator of their network.
package geo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"postern/abuse/behaviour"
	"postern/internal/filemark"
)

// MaxFile bounds a file, in octets.
const MaxFile = 512 << 20

// lookEvery is how often the files are looked at for a change.
const lookEvery = 10 * time.Second

// preciseKM is how exact a place must be for a distance to mean anything.
const preciseKM = 200

// Paths name the files; an empty one is none.
type Paths struct{ Country, ASN string }

// Files answer from the files as they were read last. Its methods are safe for concurrent use.
type Files struct {
	// Event raises an alert, or says that it is over; nil: nobody asks.
	Event func(key, text string, over bool)

	now   atomic.Pointer[pair]
	mu    sync.Mutex // under it: what follows
	paths Paths
	marks [2]filemark.Mark
}

// pair is what is in use; either may be nil.
type pair struct{ country, asn *maxminddb.Reader }

// Check reads the files and says what is wrong with them, each by its name.
func Check(p Paths) error {
	_, err := read(p)
	return err
}

// Use takes other files into use, or the same ones anew. After an error what was known before
// stays.
func (f *Files) Use(p Paths) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.use(p)
}

func (f *Files) use(p Paths) error {
	f.paths, f.marks = p, marks(p)
	found, err := read(p)
	if err != nil {
		f.event("geo", "where addresses are cannot be read anew, and what was known before counts: "+err.Error(), false)
		return err
	}
	f.now.Store(&found)
	f.event("geo", "", true)
	return nil
}

func (f *Files) event(key, text string, over bool) {
	if f.Event != nil {
		f.Event(key, text, over)
	}
}

// Run reads a file that was changed, until ctx ends.
func (f *Files) Run(ctx context.Context) error { return filemark.Follow(ctx, lookEvery, f.Look) }

// Look reads the files if one of them has changed. One that is written just now is bad at
// first, and good at the next look.
func (f *Files) Look() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if marks(f.paths) != f.marks {
		_ = f.use(f.paths) // said as an alert
	}
}

func marks(p Paths) [2]filemark.Mark {
	return [2]filemark.Mark{filemark.Of(p.Country), filemark.Of(p.ASN)}
}

func read(p Paths) (out pair, err error) {
	var errs [2]error
	out.country, errs[0] = open("geo_country", p.Country)
	out.asn, errs[1] = open("geo_asn", p.ASN)
	return out, errors.Join(errs[:]...)
}

// open reads a file whole: one that is overwritten in place would take the process with it if
// it were mapped.
func open(key, path string) (*maxminddb.Reader, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("abuse.measures.%s: %w", key, err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("abuse.measures.%s: %w", key, err)
	case len(raw) > MaxFile:
		return nil, fmt.Errorf("abuse.measures.%s: %s has more than %d MiB", key, path, MaxFile>>20)
	}
	r, err := maxminddb.OpenBytes(raw)
	if err == nil {
		err = r.Lookup(netip.MustParseAddr("192.0.2.1")).Err()
	}
	if err != nil {
		return nil, fmt.Errorf("abuse.measures.%s: %s is no mmdb file that can be read: %w", key, path, err)
	}
	return r, nil
}

// Where implements behaviour.Geo. What a file does not know stays empty.
func (f *Files) Where(ip netip.Addr) (p behaviour.Place) {
	now := f.now.Load()
	if now == nil || !ip.IsValid() {
		return p
	}
	ip = ip.Unmap().WithZone("")
	if r, ok := found(now.country, ip); ok {
		p.Country = word(r, []any{"country", "iso_code"}, []any{"registered_country", "iso_code"}, []any{"country_code"}, []any{"country"})
		p.Lat, p.Lon, p.Precise = spot(r)
	}
	if r, ok := found(now.asn, ip); ok {
		p.ASN = number(r)
	}
	return p
}

func found(r *maxminddb.Reader, ip netip.Addr) (maxminddb.Result, bool) {
	if r == nil || ip.Is6() && r.Metadata.IPVersion == 4 {
		return maxminddb.Result{}, false
	}
	out := r.Lookup(ip)
	return out, out.Found()
}

// word is the first two letters that stand at one of the places: publishers differ in where.
func word(r maxminddb.Result, paths ...[]any) string {
	for _, path := range paths {
		var s string
		if err := r.DecodePath(&s, path...); err == nil && len(s) == 2 {
			return strings.ToUpper(s)
		}
	}
	return ""
}

// spot is a place that is known well enough to measure from.
func spot(r maxminddb.Result) (lat, lon float64, ok bool) {
	var radius uint16
	err := errors.Join(r.DecodePath(&lat, "location", "latitude"), r.DecodePath(&lon, "location", "longitude"))
	_ = r.DecodePath(&radius, "location", "accuracy_radius") // where none is given it stays 0
	if err != nil || lat == 0 && lon == 0 || radius > preciseKM || lat < -90 || lat > 90 || lon < -180 || lon > 180 {
		return 0, 0, false
	}
	return lat, lon, true
}

// number is that of the operator: a number, or "AS64500".
func number(r maxminddb.Result) uint32 {
	var n uint32
	if err := r.DecodePath(&n, "autonomous_system_number"); err == nil && n != 0 {
		return n
	}
	var s string
	if err := r.DecodePath(&s, "asn"); err != nil {
		return 0
	}
	wide, err := strconv.ParseUint(strings.TrimPrefix(strings.ToUpper(s), "AS"), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(wide)
}
