package desk

import (
	"testing"

	"postern/blocklist"
)

func TestAnswerText(t *testing.T) {
	codes, symbols := []string{"127.0.0.2"}, []string{"RBL_A"}
	for want, x := range map[string]blocklist.Answer{
		"not listed":                                                     {},
		"LISTED 127.0.0.2 RBL_A sends spam":                              {Listed: true, Codes: codes, Symbols: symbols, Text: "sends spam"},
		"LISTED 127.0.0.2":                                               {Listed: true, Codes: codes},
		"could not tell: it did not answer":                              {Error: "did not answer"},
		"OFF: lists everything; it would say 127.0.0.2 RBL_A":            {Off: "lists everything", Codes: codes, Symbols: symbols},
		"OFF: does not know its own test entry; not listed":              {Off: "does not know its own test entry"},
		"OFF: lists everything; now it refuses to answer us (127.2.2.2)": {Off: "lists everything", Error: "refuses to answer us (127.2.2.2)"},
	} {
		if got := answerText(x); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
