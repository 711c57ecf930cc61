package kin_test

import (
	"slices"
	"testing"

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
