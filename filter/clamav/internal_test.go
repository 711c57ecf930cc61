package clamav

import (
	"archive/zip"
	"io"
	"strconv"
	"testing"
	"time"
)

func TestParseVersion(t *testing.T) {
	for line, want := range map[string]string{
		"ClamAV 1.4.6/27000/Sun Nov 22 08:00:00 2026":      "ClamAV 1.4.6/27000/2026-11-22",
		"ClamAV 1.4.6/27000/Sun Nov  1 08:00:00 2026":      "ClamAV 1.4.6/27000/2026-11-01",
		"ClamAV 0.103.8/26810/Thu Feb 16 08:20:49 2023":    "ClamAV 0.103.8/26810/2023-02-16",
		"ClamAV 1.5.0-beta/27000/Sun Nov 22 08:00:00 2026": "ClamAV 1.5.0-beta/27000/2026-11-22",
		"ClamAV 1.4.6":                      "ClamAV 1.4.6/unknown/unknown",
		"ClamAV 1.4.6/":                     "ClamAV 1.4.6/unknown/unknown",
		"ClamAV 1.4.6/-1/never":             "ClamAV 1.4.6/unknown/unknown",
		"ClamAV 1.4.6/27000/":               "ClamAV 1.4.6/27000/unknown",
		"ClamAV 1.4.6\r\nX-Evil: 1/27000/x": "ClamAV unknown/27000/unknown",
		"Sophos 1":                          "ClamAV unknown/unknown/unknown",
		"":                                  "ClamAV unknown/unknown/unknown",
		"ClamAV 1.4.6/99999999999999999999/Sun Nov 22 08:00 26": "ClamAV 1.4.6/unknown/unknown",
	} {
		if got := ParseVersion(line, time.UTC).String(); got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		date string
		age  time.Duration
		ok   bool
	}{
		{"Sun Nov 22 08:00:00 2026", 24 * time.Hour, true},
		{"Mon Nov 23 20:00:00 2026", 0, true}, // another time zone
		{"Mon Nov 30 08:00:00 2026", 0, false},
		{"", 0, false},
	} {
		age, ok := ParseVersion("ClamAV 1.4.6/1/"+c.date, time.UTC).Age(now)
		if age != c.age || ok != c.ok {
			t.Errorf("%q: %v %v", c.date, age, ok)
		}
	}
}

func TestPaddedIsAZip(t *testing.T) {
	for _, zeros := range []uint32{0, 1, 1000, 16 << 10, 1<<20 + 7} {
		r, size := padded(zeros)
		z, err := zip.NewReader(r, size)
		if err != nil || len(z.File) != 2 {
			t.Fatal(err)
		}
		for i, want := range [][]byte{eicar(), make([]byte, zeros)} {
			f, err := z.File[i].Open()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(f) // checks the sum
			if err != nil || string(got) != string(want) {
				t.Errorf("%d zeros, member %d: %d bytes, %v", zeros, i, len(got), err)
			}
		}
		whole, err := io.ReadAll(io.NewSectionReader(r, 0, size+10))
		if err != nil || int64(len(whole)) != size {
			t.Errorf("%d bytes of %d, %v", len(whole), size, err)
		}
	}
}

func TestPoisonIsBoundedAndForgets(t *testing.T) {
	now := time.Unix(1000, 0)
	p := newPoison(func() time.Time { return now })
	for range poisoned {
		p.add("a")
	}
	p.add("")
	if !p.bad("a") || p.bad("") || p.bad("b") {
		t.Error("counted wrongly")
	}
	now = now.Add(poisonKeep + time.Second)
	if p.bad("a") {
		t.Error("never forgotten")
	}
	if p.add("a"); p.bad("a") {
		t.Error("old offences count")
	}
	for i := range 2 * poisonMost {
		p.add(strconv.Itoa(i))
	}
	if len(p.known) != poisonMost || p.order.Len() != poisonMost {
		t.Errorf("%d remembered", len(p.known))
	}
}
