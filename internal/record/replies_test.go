package record_test

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/record"
)

// TestReplyWords has what servers call a message found in what they say.
func TestReplyWords(t *testing.T) {
	for reply, want := range map[string][]string{
		"250 2.0.0 Ok: queued as 4bXyZ12abc":                                  {"4bxyz12abc"},
		"250 2.0.0 Ok: queued as BCDFGhjk":                                    {"bcdfghjk"},
		"250 OK id=1tXyZa-0001ab-2C":                                          {"1txyza-0001ab-2c"},
		"250 2.0.0 held for review, id 01m82baay26sphsrhx6z78gxxs-00":         {"01m82baay26sphsrhx6z78gxxs-00"},
		"550 5.7.1 refused by policy (01m82baay26sphsrhx6z78gxxs)":            {"01m82baay26sphsrhx6z78gxxs"},
		"250 2.6.0 <x@y.example> [InternalId=17, Hostname=a.b] Queued for it": nil,
		"250 2.1.5 ok": nil, "": nil,
		"250 as " + strings.Repeat("a", 65): nil,
	} {
		r := record.Row{Reply: reply}
		if got := r.ReplyWords(); !slices.Equal(got, want) {
			t.Errorf("%q: %q", reply, got)
		}
		for _, w := range want {
			if got := record.ReplyWord(" " + strings.ToUpper(w) + ". "); got != w {
				t.Errorf("%q is read as %q", w, got)
			}
		}
	}
	many := record.Row{Reply: "250 queued as A1B2C3", To: []record.Fate{{Reply: "250 queued as A1B2C3"}, {Reply: "250 queued as D4E5F6"}}}
	for range 100 {
		many.To = append(many.To, record.Fate{Reply: "250 id=" + strings.Repeat("x", len(many.To)%60+5) + "9"})
	}
	if got := many.ReplyWords(); len(got) != 40 || got[0] != "a1b2c3" || got[1] != "d4e5f6" {
		t.Error(got)
	}
	for _, bad := range []string{"", "a b", "abcde", "x;y", strings.Repeat("a", 65), "größe"} {
		if got := record.ReplyWord(bad); got != "" {
			t.Errorf("%q is a word: %q", bad, got)
		}
	}
}
