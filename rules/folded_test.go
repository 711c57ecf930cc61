package rules_test

import (
	"slices"
	"strings"
	"testing"

	"postern/rules"
)

// fires are the symbols that the patterns of a set find in a message, with what they matched.
func fires(t *testing.T, s *rules.Set, raw string) map[string]string {
	t.Helper()
	found, err := s.Patterns().Check(t.Context(), message([]byte(raw)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range found {
		out[f.Symbol] = f.Detail
	}
	return out
}

// TestLettersThatStandForOthers: patterns see what people read, and what is written too.
func TestLettersThatStandForOthers(t *testing.T) {
	s := layer(t, `patterns:
  - {id: T_PAYPAL, in: body, match: '(?i)\bpaypal\b', describe: x}
  - {id: T_SUBJECT, in: subject, match: '(?i)\bviagra\b', describe: x}
  - {id: T_FIELD, in: 'fields:x-one:name', match: '(?i)\bpaypal\b', describe: x}
  - {id: T_RUSSIAN, in: body, match: 'выигрыш', describe: x}
  - {id: T_WRITTEN, in: body, match: 'P\x{430}y', describe: x}
  - {id: T_ACCENT, in: body, match: 'größe', describe: x}
  - {id: T_FILE, in: filename, match: '(?i)invoice', describe: x}
  - {id: T_TWICE, in: body, match: '(?i)paypal', times: 2, describe: x}
`)
	const head = "Content-Type: text/plain; charset=utf-8\r\n"
	for raw, want := range map[string]string{
		head + "\r\nYour PayPal account":                                                          "T_PAYPAL",
		head + "\r\nYour Pаypаl account":                                                          "T_PAYPAL T_WRITTEN",
		head + "\r\nYour 𝐏𝐚𝐲𝐏𝐚𝐥 account":                                                          "T_PAYPAL",
		head + "\r\nPаypаl and PayPal":                                                            "T_PAYPAL T_TWICE T_WRITTEN",
		head + "\r\nPаypаl and РауРаl":                                                            "T_PAYPAL T_TWICE T_WRITTEN",
		"Subject: V\u00ad\u00ecagr\u00e1\r\n" + head + "\r\nx":                                    "T_SUBJECT",
		"Subject: =?utf-8?q?Vi=E2=80=8Bagra?=\r\n" + head + "\r\nx":                               "T_SUBJECT",
		"X-One: \"P\u200ba\u200byp\u0430l\" <a@b.example>\r\n" + head + "\r\n":                    "T_FIELD",
		head + "\r\nВаш выигpыш ждёт":                                                             "T_RUSSIAN",
		head + "\r\ndie größe":                                                                    "T_ACCENT",
		head + "\r\ndie grosse":                                                                   "",
		head + "Content-Disposition: attachment; filename*=utf-8''%D1%96nvo%D1%96ce.txt\r\n\r\nx": "T_FILE",
	} {
		var got []string
		for symbol := range fires(t, s, raw) {
			if strings.HasPrefix(symbol, "T_") {
				got = append(got, symbol)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", raw, got, want)
		}
	}
}

// TestFarInsideALongText: what patterns cannot do without is found wherever it stands, and a cut
// is said where a pattern may have missed something.
func TestFarInsideALongText(t *testing.T) {
	s := layer(t, `patterns:
  - {id: T_WORDS, in: body, match: 'secret\s+word', describe: x}
  - {id: T_DIGITS, in: body, match: '\d{9}', describe: x}
  - {id: T_PART, in: rawbody, match: 'secret', describe: x}
`)
	quiet := strings.Repeat("some quiet words of no meaning\r\n", 12_000)
	got := fires(t, s, "Subject: x\r\n\r\n"+quiet+"secret  word 123456789\r\n"+quiet)
	if got["T_WORDS"] != "secret word" || got["T_PART"] != "secret" || !strings.Contains(got[rules.PatternsCut], "body") {
		t.Errorf("found %v", got)
	}
	if _, have := got["T_DIGITS"]; have {
		t.Error("all of a long text is asked for everything")
	}
	if got := fires(t, s, "Subject: x\r\n\r\n"+quiet[:200_000]+"\r\n123456789\r\n"); got["T_DIGITS"] == "" || got[rules.PatternsCut] != "" {
		t.Errorf("found %v", got)
	}
}
