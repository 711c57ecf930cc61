package kin_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"postern/internal/mime"
	"postern/rules/fit/kin"
)

const long = "we have put together what our readers asked for most this autumn, with prices that hold until the end of the month and a table of sizes for all who were not sure"

func letter(from, subject, text string) []string {
	return kin.Keys(mime.Bytes([]byte("From: "+from+"\r\nSubject: "+subject+"\r\n\r\n"+text+"\r\n"), mime.DefaultLimits()))
}

// TestGroups ties what one sender wrote and what reads the same, also by way of a third letter,
// and not strangers of one free mailbox.
func TestGroups(t *testing.T) {
	got := kin.Groups([][]string{
		letter("a@mail.contoso.example", "One", "hello"),
		letter("b@gmail.com", "Two", "hello there"),
		letter("c@news.contoso.example", "The quarterly report 17 of the board", "short"),
		letter("d@gmail.com", "Three", "hello you"),
		letter("e@else.example", "Re: The quarterly report 18 of the board", "1. "+long),
		letter("f@gmail.com", "Four", "2 "+long+" and more"),
		letter("", "", ""),
	})
	if want := []int{0, 1, 0, 2, 0, 0, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, wanted %v", got, want)
	}
}

// TestKeys has at least one for any letter.
func TestKeys(t *testing.T) {
	for _, raw := range []string{"", "\r\n", "From: x\r\n\r\n", "Subject: a\r\n\r\nb"} {
		if keys := kin.Keys(mime.Bytes([]byte(raw), mime.DefaultLimits())); len(keys) == 0 {
			t.Errorf("%q has none", raw)
		}
	}
}

// TestSenders says which letters of two senders are kin.
func TestSenders(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b []string
		kin  bool
	}{
		{"one address", letter("a@contoso.example", "One", "x"), letter("a@contoso.example", "Two", "y"), true},
		{"one organisation", letter("a@contoso.example", "One", "x"), letter("b@eu.mail.contoso.example", "Two", "y"), true},
		{"in any case", letter("A@CONTOSO.example", "One", "x"), letter("b@contoso.EXAMPLE", "Two", "y"), true},
		{"two organisations", letter("a@contoso.example", "One", "x"), letter("a@fabrikam.example", "Two", "y"), false},
		{"two below one public suffix", letter("a@contoso.co.uk", "One", "x"), letter("a@fabrikam.co.uk", "Two", "y"), false},
		{"two addresses, not names", letter("a@192.0.2.1", "One", "x"), letter("a@198.51.2.1", "Two", "y"), false},
		{"a free mailbox", letter("a@gmail.com", "One", "x"), letter("b@gmail.com", "Two", "y"), false},
		{"a free mailbox, in capitals", letter("a@GMAIL.COM", "One", "x"), letter("b@Gmail.com", "Two", "y"), false},
		{"a long subject", letter("a@gmail.com", "Your parcel 1234567 waits at the counter", "x"), letter("b@gmail.com", "Your parcel 7654321 waits at the counter", "y"), true},
		{"an answer to it", letter("a@gmail.com", "Your parcel 1 waits at the counter", "x"), letter("b@gmail.com", "Fwd: Your parcel 1 waits at the counter", "y"), true},
		{"a short subject", letter("a@gmail.com", "Your parcel", "x"), letter("b@gmail.com", "Your parcel", "y"), false},
		{"a long text", letter("a@gmail.com", "One", "Dear Ann, "+long), letter("b@gmail.com", "Two", "Dear Ann, "+long), true},
		{"the same with other numbers", letter("a@gmail.com", "One", "17 "+long), letter("b@gmail.com", "Two", "23. "+long), true},
		{"a short text", letter("a@gmail.com", "One", "see you"), letter("b@gmail.com", "Two", "see you"), false},
		{"the same of nobody", letter("a@gmail.com", "One", "see you"), letter("a@gmail.com", "One", "see you"), true},
	} {
		if got := kin.Groups([][]string{c.a, c.b}); (got[0] == got[1]) != c.kin {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestGroupsAreClasses ties exactly those that a chain of common keys leads to.
func TestGroupsAreClasses(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		keys := rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching("[a-h]"), 1, 3), 1, 12).Draw(rt, "keys")
		got := kin.Groups(keys)
		for i := range keys {
			reached := map[int]bool{i: true}
			for changed := true; changed; {
				changed = false
				for from := range reached {
					for to := range keys {
						if !reached[to] && slices.ContainsFunc(keys[to], func(k string) bool { return slices.Contains(keys[from], k) }) {
							reached[to], changed = true, true
						}
					}
				}
			}
			for j := range keys {
				if (got[i] == got[j]) != reached[j] {
					rt.Fatalf("%v: %v, %d and %d", keys, got, i, j)
				}
			}
		}
	})
}
