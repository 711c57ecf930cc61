package match

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postern/internal/record"
)

// FuzzTerms: what matches is never missed by its terms or the sieve.
func FuzzTerms(f *testing.F) {
	f.Add("01kan8x5h3k2m4n6p8q0r1s2t3", "a@b.example", "Große Rechnung", "große", "192.0.2.1", uint8(24))
	f.Add("x", "\u212a@\u212a.example", "請求書 <b>", "京", "2001:db8::1", uint8(40))
	f.Add("x", "A\"@b", "İstanbul\u2028", "i*", "::ffff:192.0.2.1", uint8(0))
	f.Fuzz(func(t *testing.T, id, address, subject, words, ip string, bits uint8) {
		at := time.UnixMilli(1_795_348_800_500 + int64(bits)).UTC()
		r := record.Row{Account: address, Reply: subject, ID: id, Time: at, MessageID: address, From: address, To: []record.Fate{{Address: address}}, Subject: subject, Client: record.Client{IP: ip}}
		has := map[Term]bool{}
		TermsOf(&r, func(x Term) { has[x] = true })
		text, err := json.Marshal(r)
		if err != nil || json.Unmarshal(text, &r) != nil { // as it will be read again
			return
		}
		qs := []record.Trace{{ID: id}, {After: "01kan8x5h3k2m4n6p8q0r1s2t4"}, {After: id + "0"}, {Since: at}, {Until: at.Add(time.Millisecond)}, {Since: at.Add(-time.Hour), Until: at.Add(time.Hour)}, {From: address}, {To: address}, {MessageID: address}, {Subject: words}, {Subject: subject}, {From: address, Subject: words}, {Account: address}, {Reply: words}, {Reply: subject}}
		if i := bytes.LastIndexByte([]byte(address), '@'); i >= 0 {
			qs = append(qs, record.Trace{From: address[i:]}, record.Trace{To: address[i:]})
		}
		if a, err := netip.ParseAddr(ip); err == nil {
			if p, err := a.Prefix(int(bits)); err == nil {
				qs = append(qs, record.Trace{IP: p})
			}
		}
		for _, q := range qs {
			m, ok := New(q)
			if !ok || !m.Match(&r) {
				continue
			}
			for _, w := range m.Terms() {
				if !has[w] {
					t.Errorf("%+v: a term is missing", q)
				}
			}
			if !m.Passes(text) {
				t.Errorf("%+v: the sieve keeps %s", q, text)
			}
		}
	})
}

var sample = record.Row{
	ID: "01kan8x5h3k2m4n6p8q0r1s2t3", Time: time.UnixMilli(1_795_348_800_500), From: "Ann@Example.org", MessageID: "M1@x",
	To:      []record.Fate{{Address: "u@example.com"}, {Address: "<odd>"}, {Address: "Zoë@xn--9ca.example"}},
	Subject: "Größe: 東京の請求書, Invoice-2026", Client: record.Client{IP: "192.0.2.1"},
}

func TestMatch(t *testing.T) {
	at := sample.Time
	for name, c := range map[string]struct {
		q    record.Trace
		want bool
	}{
		"all":                    {record.Trace{}, true},
		"id":                     {record.Trace{ID: sample.ID}, true},
		"id of a hold":           {record.Trace{ID: sample.ID + "-07"}, true},
		"another id":             {record.Trace{ID: "01kan8x5h3k2m4n6p8q0r1s2t4"}, false},
		"id in capitals":         {record.Trace{ID: strings.ToUpper(sample.ID)}, false},
		"after":                  {record.Trace{After: "01kan8x5h3k2m4n6p8q0r1s2t4"}, true},
		"after itself":           {record.Trace{After: sample.ID}, false},
		"after an older one":     {record.Trace{After: "01kan8x5h3k2m4n6p8q0r1s2t2"}, false},
		"from":                   {record.Trace{From: "ANN@example.org"}, true},
		"from domain":            {record.Trace{From: "@example.ORG"}, true},
		"from below the domain":  {record.Trace{From: "@org"}, false},
		"from null":              {record.Trace{From: "<>"}, false},
		"from the end of it":     {record.Trace{From: "n@example.org"}, false},
		"to":                     {record.Trace{To: "U@example.com"}, true},
		"to odd":                 {record.Trace{To: "<odd>"}, true},
		"to with signs":          {record.Trace{To: "ZOË@xn--9ca.example"}, true},
		"to domain":              {record.Trace{To: "@xn--9ca.example"}, true},
		"to nobody":              {record.Trace{To: "@"}, false},
		"to sender":              {record.Trace{To: "ann@example.org"}, false},
		"message-id":             {record.Trace{MessageID: "<M1@x>"}, true},
		"message-id, small":      {record.Trace{MessageID: "m1@x"}, false},
		"since":                  {record.Trace{Since: at}, true},
		"since later":            {record.Trace{Since: at.Add(time.Millisecond)}, false},
		"since the same ms":      {record.Trace{Since: at.Add(time.Microsecond)}, true},
		"until":                  {record.Trace{Until: at}, false},
		"until later":            {record.Trace{Until: at.Add(time.Millisecond)}, true},
		"words":                  {record.Trace{Subject: "INVOICE grosse"}, true},
		"a word and another":     {record.Trace{Subject: "invoice missing"}, false},
		"part of a word":         {record.Trace{Subject: "voice"}, false},
		"beginning":              {record.Trace{Subject: "inv*"}, true},
		"beginning of none":      {record.Trace{Subject: "inx*"}, false},
		"dense":                  {record.Trace{Subject: "請求書"}, true},
		"dense, one":             {record.Trace{Subject: "京"}, true},
		"dense, other":           {record.Trace{Subject: "大阪"}, false},
		"number":                 {record.Trace{Subject: "2026"}, true},
		"ip":                     {record.Trace{IP: netip.MustParsePrefix("192.0.2.1/32")}, true},
		"net":                    {record.Trace{IP: netip.MustParsePrefix("192.0.2.200/24")}, true},
		"odd net":                {record.Trace{IP: netip.MustParsePrefix("192.0.0.0/22")}, true},
		"all of ipv4":            {record.Trace{IP: netip.MustParsePrefix("0.0.0.0/0")}, true},
		"as ipv6":                {record.Trace{IP: netip.MustParsePrefix("::ffff:192.0.2.0/120")}, true},
		"all nets":               {record.Trace{IP: netip.MustParsePrefix("::/0")}, true},
		"another net":            {record.Trace{IP: netip.MustParsePrefix("192.0.3.0/24")}, false},
		"ipv6":                   {record.Trace{IP: netip.MustParsePrefix("2001:db8::/32")}, false},
		"two that both hold":     {record.Trace{From: "@example.org", Subject: "invoice"}, true},
		"two, of which one does": {record.Trace{From: "@example.net", Subject: "invoice"}, false},
	} {
		m, ok := New(c.q)
		if !ok || m.Match(&sample) != c.want {
			t.Errorf("%s: %v", name, !c.want)
		}
	}
	for _, q := range []record.Trace{{Subject: "<>"}, {Subject: "- *"}, {ID: "-01"}} {
		if _, ok := New(q); ok {
			t.Errorf("%+v can match", q)
		}
	}
}

// Terms are written by one version and read by the next: they do not change.
func TestTermsStay(t *testing.T) {
	var got []Term
	TermsOf(&record.Row{ID: "a", From: "b@c", Subject: "word", Client: record.Client{IP: "192.0.2.1"}}, func(x Term) { got = append(got, x) })
	want := "[160982 270749 3638309 2571640 41090 3249624 3067015 1053163 1680479 1506921]"
	if s := fmt.Sprint(got); s != want {
		t.Errorf("terms are %s", s)
	}
	for _, x := range got {
		if x.List() < 0 || x.List() >= Lists || Term(x.List())<<16|Term(x.Print()[0])<<8|Term(x.Print()[1]) != x {
			t.Errorf("%d is more than list %d and print %x", x, x.List(), x.Print())
		}
	}
}

// Few rows share the terms that stand first, and a query reads no more than a few lists.
func TestTermsOfQueries(t *testing.T) {
	for name, c := range map[string]struct {
		q record.Trace
		n int
	}{
		"all": {record.Trace{}, 0}, "time": {record.Trace{Since: sample.Time}, 0}, "id": {record.Trace{ID: "x"}, 1}, "null": {record.Trace{From: "<>"}, 1},
		"large net": {record.Trace{IP: netip.MustParsePrefix("192.0.0.0/14")}, 0}, "net": {record.Trace{IP: netip.MustParsePrefix("192.0.0.0/20")}, 1},
		"all nets": {record.Trace{IP: netip.MustParsePrefix("::/0")}, 0}, "ipv6": {record.Trace{IP: netip.MustParsePrefix("2001:db8::/47")}, 1},
		"many": {record.Trace{ID: "x", From: "a@b", To: "c@d", MessageID: "m", Subject: strings.Repeat("a b c d e f ", 20)}, termsAtMost},
	} {
		m, ok := New(c.q)
		if !ok || len(m.Terms()) != c.n {
			t.Errorf("%s: %d terms", name, len(m.Terms()))
		}
	}
}

func TestDuring(t *testing.T) {
	at := time.UnixMilli(1000)
	for i, c := range []struct {
		q      record.Trace
		lo, hi int64
		want   bool
	}{
		{record.Trace{}, 0, 0, true}, {record.Trace{Since: at}, 0, 999, false}, {record.Trace{Since: at}, 0, 1000, true},
		{record.Trace{Until: at}, 1000, 2000, false}, {record.Trace{Until: at}, 999, 2000, true},
	} {
		if m, _ := New(c.q); m.During(c.lo, c.hi) != c.want {
			t.Errorf("case %d", i)
		}
	}
}

func TestMasked(t *testing.T) {
	raw := netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").As16()
	for bits, want := range map[int]string{0: "::", 1: "8000::", 8: "ff00::", 33: "ffff:ffff:8000::", 127: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", 128: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if got, _ := netip.AddrFromSlice(masked(raw, bits)); got.String() != want {
			t.Errorf("%d bits: %s", bits, got)
		}
	}
}

// What the sieve is there to keep, it keeps.
func TestSieve(t *testing.T) {
	text, err := json.Marshal(sample)
	if err != nil {
		t.Fatal(err)
	}
	plain := sample
	plain.Subject, plain.To = "Invoice 2026", nil
	low, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		q          record.Trace
		odd, plain bool // whether it lets pass the row with signs, and the one without
	}{
		"all": {record.Trace{}, true, true}, "after itself": {record.Trace{After: sample.ID}, false, false},
		"since": {record.Trace{Since: sample.Time.Add(time.Second)}, false, false}, "until": {record.Trace{Until: sample.Time}, false, false},
		"within": {record.Trace{Since: sample.Time, Until: sample.Time.Add(time.Second)}, true, true},
		"sender": {record.Trace{From: "nobody@example.org"}, false, false}, "domain": {record.Trace{From: "@example.ORG"}, true, true},
		"id": {record.Trace{ID: "x" + sample.ID[1:]}, false, false}, "word": {record.Trace{Subject: "missing"}, true, false},
		"quoted": {record.Trace{From: `a"b@x`}, true, true}, "recipient": {record.Trace{To: "@example.com"}, true, false},
	} {
		m, ok := New(c.q)
		if !ok || m.Passes(text) != c.odd || m.Passes(low) != c.plain {
			t.Errorf("%s: %v, %v", name, m.Passes(text), m.Passes(low))
		}
	}
	m, _ := New(record.Trace{After: "0", Since: sample.Time.Add(time.Hour)})
	for _, line := range []string{"", "{}", `{"id":"short"}`, `{"id":"01kan8x5h3k2m4n6p8q0r1s2t3","time":"never"}`, `{"time":"2026-11-22T12:00:00Z"}`} {
		if pass := m.Passes([]byte(line)); pass != !strings.Contains(line, "never") {
			t.Errorf("%s: %v", line, pass)
		}
	}
}
