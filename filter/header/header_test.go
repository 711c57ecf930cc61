package header_test

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"

	"postern/filter"
	"postern/filter/header"
	"postern/internal/mime"
)

var came = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// good is a header nothing is wrong with; a case changes or removes fields of it.
var good = []string{
	"Received: from mail.example.org (mail.example.org [192.0.2.1]) by mx.example.net with ESMTPS; Sun, 22 Nov 2026 11:00:01 +0000",
	"From: Ann Lee <ann@example.org>",
	"To: Bob Ray <bob@example.com>",
	"Date: Sun, 22 Nov 2026 11:00:00 +0000",
	"Message-ID: <1@example.org>",
}

func us() header.Us {
	return header.Us{Host: "mx1.example.com", Domains: []string{"example.com", "shop.example"}, People: []string{"Ada Lovelace", "Cher"}}
}

// symbols runs the check on the good header with fields in place of those of the same name; a
// field without a value goes.
func symbols(t *testing.T, direction filter.Direction, fields ...string) []string {
	t.Helper()
	lines := append([]string{}, good...)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ":")
		keep := lines[:0:0]
		for _, l := range lines {
			if !strings.HasPrefix(l, name+":") {
				keep = append(keep, l)
			}
		}
		if lines = keep; strings.TrimSpace(value) != "" {
			lines = append(lines, f)
		}
	}
	raw := []byte(strings.Join(lines, "\r\n") + "\r\n\r\nHello.\r\n")
	m := &filter.Message{Time: came, Direction: direction, To: []filter.Recipient{{Address: "bob@example.com"}}, Body: bytes.NewReader(raw), Size: int64(len(raw)),
		Parts: sync.OnceValues(func() (*mime.Tree, error) {
			return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
		})}
	found, err := header.New(us()).Check(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		if f.Symbol != header.FromNameDomain && f.Symbol != header.FromNameStrange { // nearly all have one: TestNamed
			out = append(out, f.Symbol)
		}
	}
	return out
}

func TestSymbols(t *testing.T) {
	outlook := "X-Mailer: Microsoft Outlook 16.0"
	for _, c := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"nothing", nil, ""},

		{"no date", []string{"Date:"}, "DATE_MISSING"},
		{"a date in words", []string{"Date: yesterday evening"}, "DATE_INVALID"},
		{"a date with two times", []string{"Date: Sun, 06 Aug 2023 06:34:47 03:32:34 -0700"}, "DATE_INVALID"},
		{"a long date", []string{"Date: " + strings.Repeat("Sun, ", 100)}, "DATE_INVALID"},
		{"a date without a comma", []string{"Date: Sun 22 Nov 2026 11:00:00 +0000"}, ""},
		{"a date with a zone's name", []string{"Date: Sun, 22 Nov 2026 13:00:00 +0200 (EET)"}, ""},
		{"a date with an unquoted zone", []string{"Date: Sun, 22 Nov 2026 13:00:00 +0200 Eastern European Time"}, ""},
		{"a date of ctime", []string{"Date: Sun Nov 22 11:00:00 2026"}, ""},
		{"tomorrow, in the east", []string{"Date: Mon, 23 Nov 2026 11:59:00 +0000"}, ""},
		{"the day after", []string{"Date: Mon, 23 Nov 2026 12:01:00 +0000"}, "DATE_FUTURE"},
		{"the year 9999", []string{"Date: Sun, 01 Jan 9999 00:00:00 +0000"}, "DATE_FUTURE"},
		{"two weeks ago", []string{"Date: Sat, 07 Nov 2026 12:00:00 +0000"}, ""},
		{"longer ago", []string{"Date: Sat, 07 Nov 2026 11:59:59 +0000"}, "DATE_PAST"},
		{"the year 1970", []string{"Date: Thu, 01 Jan 1970 00:00:00 +0000"}, "DATE_PAST"},

		{"no Message-ID", []string{"Message-ID:"}, "MSGID_MISSING"},
		{"no at sign", []string{"Message-ID: <abc>"}, "MSGID_INVALID"},
		{"two at signs", []string{"Message-ID: <a@b@c>"}, "MSGID_INVALID"},
		{"no domain", []string{"Message-ID: <a@>"}, ""},
		{"a note behind it", []string{"Message-ID: <1@example.org> (added by mx)"}, "MSGID_INVALID"},
		{"Outlook", []string{outlook, "Message-ID: <000001d9a1b2$c3d4e5f6$4b7eb1e0$@example.org>"}, ""},
		{"not Outlook", []string{outlook, "Message-ID: <20261122110000.1234@example.org>"}, "MAILER_FORGED"},
		{"an ID of the relay", []string{outlook, "Message-ID: <20261122110000.1234@mx.example.net>"}, ""},
		{"Apple Mail", []string{"X-Mailer: Apple Mail (2.3774.600.62)", "Message-ID: <0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D@example.org>"}, ""},
		{"not an iPhone", []string{"X-Mailer: iPhone Mail (21A360)", "Message-ID: <x1@example.org>"}, "MAILER_FORGED"},
		{"Thunderbird", []string{"User-Agent: Mozilla Thunderbird", "Message-ID: <0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d@example.org>"}, ""},
		{"an old Thunderbird", []string{"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:45.0) Gecko/20100101 Thunderbird/45.8.0", "Message-ID: <58C7A0C1.3040506@example.org>"}, ""},
		{"not Thunderbird", []string{"User-Agent: Mozilla Thunderbird", "Message-ID: <spam.1@example.org>"}, "MAILER_FORGED"},
		{"an unknown program", []string{"X-Mailer: Roundcube", "Message-ID: <spam.1@example.org>"}, ""},
		{"Outlook Express", []string{"X-Mailer: Microsoft Outlook Express 6.00.2600.0000", "Message-ID: <000c01c24a5f$8b3f6ae0$0201a8c0@host>"}, ""},

		{"our domain", []string{"From: Bob <info@example.com>"}, "FROM_OWN_DOMAIN"},
		{"below our domain", []string{"From: Bob <info@news.example.com>"}, "FROM_OWN_DOMAIN"},
		{"beside our domain", []string{"From: Bob <info@notexample.com>"}, ""},
		{"like our domain", []string{"From: Bob <info@exarnple.com>"}, "FROM_LIKE_OWN"},
		{"like it in Cyrillic", []string{"From: Bob <info@xn--xample-2of.com>"}, "FROM_LIKE_OWN"},
		{"like it with another ending", []string{"From: Bob <info@example.org>"}, ""},
		{"our address as a name", []string{`From: "ceo@example.com" <x1@elsewhere.test>`}, "FROM_NAME_OWN"},
		{"our address in brackets", []string{`From: "Boss (ceo@example.com)" <x1@elsewhere.test>`}, "FROM_NAME_OWN"},
		{"another address as a name", []string{`From: "service@bank.test" <x1@elsewhere.test>`}, "FROM_NAME_ADDRESS"},
		{"its own address as a name", []string{`From: "x1@elsewhere.test" <x1@elsewhere.test>`}, ""},
		{"an address of the same organisation", []string{`From: "x1@elsewhere.test" <x1@mail.elsewhere.test>`}, ""},
		{"an at sign for fun", []string{`From: "Ann @ home" <x1@elsewhere.test>`}, ""},
		{"one of our people", []string{`From: "Ada Lovelace" <x1@elsewhere.test>`}, "FROM_NAME_PERSON"},
		{"the family name first", []string{`From: "LOVELACE, Ada" <x1@elsewhere.test>`}, "FROM_NAME_PERSON"},
		{"with a Cyrillic letter", []string{`From: =?utf-8?q?Ad=D0=B0_Lovelace?= <x1@elsewhere.test>`}, "FROM_NAME_PERSON"},
		{"she herself", []string{`From: "Ada Lovelace" <ada@example.com>`}, "FROM_OWN_DOMAIN"},
		{"half a name", []string{`From: "Ada" <x1@elsewhere.test>`}, ""},
		{"a single name of ours", []string{`From: "Cher" <x1@elsewhere.test>`}, ""},
		{"the reader's name", []string{`From: "Bob Ray" <x1@elsewhere.test>`}, "FROM_NAME_READER"},
		{"the reader's address", []string{`From: Bob Ray <bob@example.com>`}, "FROM_OWN_DOMAIN FROM_IS_TO"},

		{"answers elsewhere", []string{"Reply-To: x@elsewhere.test"}, "REPLY_TO_ELSEWHERE"},
		{"answers to a free mailbox", []string{"Reply-To: x@gmail.com"}, "REPLY_TO_ELSEWHERE REPLY_TO_FREE"},
		{"from one free mailbox to another", []string{"From: A <a@yahoo.com>", "Reply-To: x@gmail.com"}, "REPLY_TO_ELSEWHERE REPLY_TO_FREE"},
		{"answers below the domain", []string{"Reply-To: x@reply.example.org"}, ""},
		{"answers to both", []string{"Reply-To: x@gmail.com, ann@example.org"}, ""},
		{"answers to us", []string{"Reply-To: x@example.com"}, ""},
		{"no recipient", []string{"To:"}, "TO_MISSING"},
		{"only a copy", []string{"To:", "Cc: bob@example.com"}, ""},

		{"it came through us", []string{"Received: from a by mx1.example.com with ESMTP; Sun, 22 Nov 2026 10:00:00 +0000"}, "RECEIVED_FORGED"},
		{"it came through us, by a list", []string{"From: Bob <b@example.com>", "Received: from a by MX1.example.com. with ESMTP; Sun, 22 Nov 2026 10:00:00 +0000"}, "FROM_OWN_DOMAIN"},
		{"a host with our name in its own", []string{"Received: from a by mx1.example.com.elsewhere.test with ESMTP"}, ""},
		{"an address that cannot be", []string{"Received: from a ([192.0.2.300]) by b with SMTP"}, "RECEIVED_NO_ADDRESS"},
		{"no address", []string{"Received: from a ([version 8.12.300]) by b with SMTP"}, ""},
	} {
		if got := strings.Join(symbols(t, filter.Inbound, c.fields...), " "); got != c.want {
			t.Errorf("%s: found %q, wanted %q", c.name, got, c.want)
		}
	}
}

func TestOurAccountsMayBeThemselves(t *testing.T) {
	got := symbols(t, filter.Outbound, "From: Ada Lovelace <ada@example.com>", "Received: from a by mx1.example.com with ESMTP", "Reply-To: x@gmail.com", "Date:")
	if strings.Join(got, " ") != "DATE_MISSING" {
		t.Errorf("found %q, wanted only that the date is missing", got)
	}
}

func TestReload(t *testing.T) {
	c := header.New(header.Us{})
	raw := []byte("From: a@example.com\r\nTo: b@example.net\r\nDate: Sun, 22 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\n")
	m := &filter.Message{Time: came, Parts: func() (*mime.Tree, error) {
		return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
	}}
	if found, err := c.Check(t.Context(), m); err != nil || len(found) != 0 {
		t.Fatalf("knowing nothing of us it found %v, %v", found, err)
	}
	c.Reload(us())
	if found, err := c.Check(t.Context(), m); err != nil || len(found) != 1 || found[0].Symbol != header.FromOwnDomain {
		t.Fatalf("after the reload it found %v, %v", found, err)
	}
}

func FuzzCheck(f *testing.F) {
	for _, l := range good {
		f.Add(l)
	}
	f.Add("From: \"a@b\" <" + strings.Repeat("a@", 5000) + "c>")
	f.Add("Date: " + strings.Repeat("(", 10000))
	f.Add("Received: from a by " + strings.Repeat("x.", 5000) + "\r\nReceived: [1.2.3.4444]")
	f.Fuzz(func(t *testing.T, fields string) {
		raw := []byte(fields + "\r\n\r\nx")
		m := &filter.Message{Time: came, To: []filter.Recipient{{Address: "bob@example.com"}},
			Parts: func() (*mime.Tree, error) {
				return mime.Walk(bytes.NewReader(raw), int64(len(raw)), mime.DefaultLimits())
			}}
		found, err := header.New(us()).Check(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range found {
			if len(x.Detail) > 130 {
				t.Errorf("%s has a detail of %d bytes", x.Symbol, len(x.Detail))
			}
		}
	})
}
