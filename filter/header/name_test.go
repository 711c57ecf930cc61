package header_test

import (
	"bytes"
	"slices"
	"testing"

	"postern/filter"
	"postern/filter/header"
	"postern/internal/mime"
)

// TestNamed tells senders that write from a domain called as they are from those that do not.
func TestNamed(t *testing.T) {
	const own, strange, nothing = header.FromNameDomain, header.FromNameStrange, ""
	for from, want := range map[string]string{
		"Contoso <news@contoso.example>":                     own,
		"Contoso Garden Tools <e@mail.contoso.example>":      own,
		"The Contoso Team <a@contosomail.example>":           own,
		"Morning Post <a@morning.example>":                   own,
		"HP Store <a@hp.example>":                            own, // a short piece must be whole
		"Northern Light Power <a@nlp-mail.example>":          own, // its first letters
		"1-800-Flowers.com <a@1800flowers.example>":          own,
		"=?utf-8?q?C=D0=BEntoso?= <news@contoso.example>":    own, // as it looks: the o is Cyrillic
		"Contoso <offers@cheap-things.example>":              strange,
		"Joint Relief <joint.relief@sunnyhill.example>":      strange, // before the at sign anybody may write anything
		"Ann Lee <ann.lee@sunnyhill.example>":                strange,
		"HP Store <a@hpx.example>":                           strange,
		"News Mail <a@news.sunnyhill.example>":               own, // a whole word below the registered name
		"Daily News <a@mail.sunnyhill.example>":              strange,
		"Contoso <contoso@gmail.com>":                        nothing, // a free mailbox is called as its host
		"Contoso <ann@example.com>":                          nothing, // one of ours
		"<ann@sunnyhill.example>":                            nothing,
		"A. <ann@sunnyhill.example>":                         nothing,
		"=?utf-8?b?6YeN6KaB44Gq44GK55+l?= <a@sunny.example>": nothing, // no letters that a domain could have
		"Contoso": nothing,
	} {
		raw := []byte("From: " + from + "\r\nTo: bob@example.com\r\n\r\nHello.\r\n")
		m := &filter.Message{Time: came, Direction: filter.Inbound, Body: bytes.NewReader(raw), Size: int64(len(raw)),
			Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.DefaultLimits()), nil }}
		found, err := header.New(us()).Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, symbol := range []string{own, strange} {
			has := slices.ContainsFunc(found, func(f filter.Finding) bool { return f.Symbol == symbol })
			if has != (symbol == want) {
				t.Errorf("%s: %s is %v", from, symbol, has)
			}
		}
	}
}

// FuzzNamed judges no more authors than it may, and says little of any.
func FuzzNamed(f *testing.F) {
	for _, from := range []string{"Contoso <a@contoso.example>", "a@b", "\"\" <@>", "=?utf-8?q?=F0=9F=98=80?= <a@xn--80ak6aa92e.example>", "x <a@192.0.2.1>", "A B C <a@[IPv6:::1]>"} {
		f.Add(from)
	}
	c := header.New(us())
	f.Fuzz(func(t *testing.T, from string) {
		raw := []byte("From: " + from + "\r\n\r\nHello.\r\n")
		m := &filter.Message{Time: came, Direction: filter.Inbound, Body: bytes.NewReader(raw), Size: int64(len(raw)),
			Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.DefaultLimits()), nil }}
		found, err := c.Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		said := map[string]int{}
		for _, x := range found {
			if said[x.Symbol]++; len(x.Detail) > 200 {
				t.Errorf("%s says %d octets", x.Symbol, len(x.Detail))
			}
		}
		if n := said[header.FromNameDomain] + said[header.FromNameStrange]; n > header.MaxAuthors {
			t.Errorf("%d authors are judged", n)
		}
	})
}
