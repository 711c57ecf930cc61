package geo_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/behaviour"
	"postern/abuse/behaviour/geo"
	"postern/internal/mailtest/mmdb"
)

func where(t *testing.T, f *geo.Files, ip string) behaviour.Place {
	t.Helper()
	return f.Where(netip.MustParseAddr(ip))
}

func TestWhere(t *testing.T) {
	dir := t.TempDir()
	country, asn := filepath.Join(dir, "country.mmdb"), filepath.Join(dir, "asn.mmdb")
	mmdb.Write(t, country, map[string]mmdb.Map{
		"198.51.100.0/24": mmdb.Country("GR"),
		"203.0.113.0/25":  mmdb.City("JP", 35.7, 139.7),
		"203.0.113.128/25": {"location": mmdb.Map{"latitude": 1.0, "longitude": 2.0, "accuracy_radius": uint32(1000)},
			"registered_country": mmdb.Map{"iso_code": "fr"}},
		"2001:db8::/32": {"country_code": "DE"},
		"192.0.2.64/26": {"country": "IT"},
	})
	mmdb.Write(t, asn, map[string]mmdb.Map{"198.51.100.0/24": mmdb.ASN(64500), "203.0.113.0/24": {"asn": "AS64501"}, "192.0.2.64/26": {"asn": "none"}})
	f := &geo.Files{}
	if p := where(t, f, "198.51.100.1"); p != (behaviour.Place{}) {
		t.Errorf("without files: %+v", p)
	}
	if err := f.Use(geo.Paths{Country: country, ASN: asn}); err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]behaviour.Place{
		"198.51.100.1":        {Country: "GR", ASN: 64500},
		"::ffff:198.51.100.1": {Country: "GR", ASN: 64500},
		"203.0.113.1":         {Country: "JP", ASN: 64501, Lat: 35.7, Lon: 139.7, Precise: true},
		"203.0.113.200":       {Country: "FR", ASN: 64501}, // too vague to measure from
		"2001:db8::1":         {Country: "DE"},
		"192.0.2.65":          {Country: "IT"},
		"192.0.2.1":           {},
	} {
		if got := where(t, f, ip); got != want {
			t.Errorf("%s: %+v, want %+v", ip, got, want)
		}
	}
	if err := f.Use(geo.Paths{ASN: asn}); err != nil {
		t.Fatal(err)
	}
	if got := where(t, f, "198.51.100.1"); got != (behaviour.Place{ASN: 64500}) {
		t.Errorf("one file alone: %+v", got)
	}
}

// A changed file counts at the next look; a bad one is named, and what was known before stays.
func TestChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.mmdb")
	mmdb.Write(t, path, map[string]mmdb.Map{"198.51.100.0/24": mmdb.Country("GR")})
	said := map[string]string{}
	f := &geo.Files{Event: func(key, text string, over bool) {
		if delete(said, key); !over {
			said[key] = text
		}
	}}
	if err := f.Use(geo.Paths{Country: path}); err != nil {
		t.Fatal(err)
	}
	later := func(n int) {
		at := time.Now().Add(time.Duration(n) * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		f.Look()
	}
	if err := os.WriteFile(path, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	later(1)
	if where(t, f, "198.51.100.1").Country != "GR" || !strings.Contains(said["geo"], path) || !strings.Contains(said["geo"], "geo_country") {
		t.Errorf("a damaged file: %v, %q", where(t, f, "198.51.100.1"), said)
	}
	mmdb.Write(t, path, map[string]mmdb.Map{"198.51.100.0/24": mmdb.Country("CY")})
	later(2)
	if where(t, f, "198.51.100.1").Country != "CY" || len(said) != 0 {
		t.Errorf("a new file: %v, %q", where(t, f, "198.51.100.1"), said)
	}
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := mmdb.Bytes(map[string]mmdb.Map{"198.51.100.0/24": mmdb.City("GR", 38, 23)}, time.Now())
	path := filepath.Join(dir, "x.mmdb")
	if err := geo.Check(geo.Paths{ASN: path}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "geo_asn") {
		t.Error(err)
	}
	for n := 0; n < len(good); n += 13 {
		if err := os.WriteFile(path, good[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := geo.Check(geo.Paths{Country: path}); err == nil {
			t.Errorf("%d of %d octets are taken", n, len(good))
		} else if !strings.Contains(err.Error(), path) {
			t.Error(err)
		}
	}
}

// Whatever a file says, a question is answered.
func FuzzWhere(f *testing.F) {
	f.Add(mmdb.Bytes(map[string]mmdb.Map{"198.51.100.0/24": mmdb.City("GR", 38, 23), "2001:db8::/32": mmdb.ASN(1)}, time.Unix(0, 0)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "x.mmdb")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		files := &geo.Files{}
		if err := files.Use(geo.Paths{Country: path, ASN: path}); err != nil {
			return
		}
		for _, ip := range []string{"198.51.100.1", "2001:db8::1"} {
			if p := files.Where(netip.MustParseAddr(ip)); len(p.Country) != 0 && len(p.Country) != 2 {
				t.Error(p)
			}
		}
	})
}
