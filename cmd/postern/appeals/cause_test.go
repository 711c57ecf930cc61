package appeals

import (
	"slices"
	"strings"
	"testing"

	"postern/internal/desk/words"
	"postern/internal/record"
	"postern/rules"
)

const id = "01m82baay26sphsrhx6z78gxxs"

// TestCause reads the cause out of what the sender's server was told, by the rules that ship.
func TestCause(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	describe := func(symbol string) string { s, _ := set.Symbol(symbol); return s.Describe }
	of := func(symbol string) string {
		d := describe(symbol)
		if d == "" {
			t.Errorf("no sentence of %s", symbol)
		}
		return "550 5.7.1 " + ascii(d) + " (ref " + id + ")"
	}
	for reply, want := range map[string]string{
		of("SPF_FAIL"): SPF, of("DKIM_FAIL"): DKIM, of("DMARC_REJECT"): DMARC, of("OWN_BLOCK"): Blocked, of("VIRUS"): Virus, of("RATE_IP"): Rate, of("GREY_NEW"): Greylist,
		of("UNSCANNABLE"): Unread, of("PTR_NONE"): Host,
		"550 5.7.1 The message was judged to be spam: " + describe("SPF_FAIL") + " (ref " + id + ")":     Content,
		"451 4.7.1 The message could not be checked completely, please try again later (ref " + id + ")": Later,
		"451 4.7.1 " + describe("GREY_NEW") + ", please try again in a few minutes (ref " + id + ")":     Greylist,
		"550 5.1.1 User unknown": Mailbox, "550 5.1.7 bad address syntax": Sender, "553 5.6.7 non-ASCII address without SMTPUTF8": Form, "552 5.3.4 message too big": Size,
		"554 5.4.6 too many hops, this message is looping": Loop, "550 5.5.2 bare LF": Form, "550 5.7.1 relaying denied": Relay, "550 5.7.1 We do not take mail for this domain": Relay,
		"452 4.5.3 too many recipients, send the rest apart": Rate, "452 4.3.1 not enough room now": Later, "451 4.3.0 try again later": Later, "550 go away": Policy, "550 5.7.1 local policy": Policy,
		"554 5.2.2 mailbox full": Mailbox, "550 5.a.b odd": Policy, "5000": Policy,
	} {
		if !refusal(reply) {
			if reply != "5000" {
				t.Errorf("%q is no refusal", reply)
			}
			continue
		}
		row := record.Row{ID: id, Symbols: []string{"SPF_FAIL", "DKIM_FAIL", "DMARC_REJECT", "OWN_BLOCK", "VIRUS", "RATE_IP", "GREY_NEW", "UNSCANNABLE", "PTR_NONE", "NO_SUCH"}}
		if got := cause(row, reply, describe); got != want {
			t.Errorf("%q: %s, not %s", reply, got, want)
		}
	}
}

// TestEveryCauseHasWords in all languages, and nothing that a spammer could use.
func TestEveryCauseHasWords(t *testing.T) {
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range book.Languages() {
		l, _ := book.Language(name)
		for _, c := range Causes() {
			for _, key := range []string{"refused.why-" + c, "refused.do-" + c} {
				if !l.Has(key) || strings.ContainsAny(l.Say(key), "{}_") {
					t.Errorf("%s: %s: %q", name, key, l.Say(key))
				}
			}
		}
	}
	for _, f := range families {
		if !slices.Contains(Causes(), f[1]) {
			t.Errorf("%s has no cause: %q", f[0], f[1])
		}
	}
}

// TestSaid finds what the client was told, and nothing where it was told of no refusal.
func TestSaid(t *testing.T) {
	fate := func(state, reply string) record.Fate { return record.Fate{State: state, Reply: reply} }
	for name, c := range map[string]struct {
		row  record.Row
		want string
	}{
		"the whole message":    {record.Row{Reply: "550 5.7.1 no", To: []record.Fate{fate("rejected", "550 5.1.1 who")}}, "550 5.7.1 no"},
		"one recipient":        {record.Row{Reply: "250 2.0.0 ok", To: []record.Fate{fate("delivered", "250 ok"), fate("rejected", "550 5.1.1 who")}}, "550 5.1.1 who"},
		"one put off":          {record.Row{Reply: "250 2.0.0 ok", To: []record.Fate{fate("deferred", "451 4.7.1 later")}}, "451 4.7.1 later"},
		"taken":                {record.Row{Reply: "250 2.0.0 ok", To: []record.Fate{fate("delivered", "250 ok")}}, ""},
		"held after a refusal": {record.Row{Reply: "250 2.0.0 ok", To: []record.Fate{fate("held", "550 5.7.1 refused behind")}}, ""},
		"no answer":            {record.Row{Reply: "", To: []record.Fate{fate("aborted", "")}}, ""},
		"odd":                  {record.Row{Reply: "5"}, ""},
	} {
		if got, ok := given(c.row); got != c.want || ok != (c.want != "") {
			t.Errorf("%s: %q %v", name, got, ok)
		}
	}
}

func TestTaken(t *testing.T) {
	for reply, want := range map[string][2]string{
		"550 5.7.1 no (ref " + id + ")": {"5.7.1", "no"},
		"550 no":                        {"", "no"},
		"451 5.7.1 odd class":           {"", "5.7.1 odd class"},
		"550 5.7.1":                     {"", "5.7.1"},
		"550 (ref " + id + ") no":       {"", "no"},
		"550 1.2.3.4 is listed":         {"", "1.2.3.4 is listed"},
	} {
		if enhanced, text := taken(reply, id); enhanced != want[0] || text != want[1] {
			t.Errorf("%q: %q %q", reply, enhanced, text)
		}
	}
}
