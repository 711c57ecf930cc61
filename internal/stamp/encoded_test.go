package stamp_test

import (
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/stamp"
)

// field is a field of a block as a mail program shows it: unfolded, encoded words decoded.
func field(t *testing.T, block []byte, name string) string {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(string(block) + "\r\n"))
	if err != nil {
		t.Fatalf("%v in %q", err, block)
	}
	raw := m.Header.Get(name)
	for _, word := range strings.Fields(raw) { // an encoded word stands between blanks, RFC 2047 section 5
		if strings.Contains(word, "=?") != strings.HasPrefix(word, "=?") || strings.HasPrefix(word, "=?") != strings.HasSuffix(word, "?=") {
			t.Errorf("%q is no encoded word and no other", word)
		}
		if len(word) > 75 && strings.HasPrefix(word, "=?") {
			t.Errorf("%q is longer than an encoded word may be", word)
		}
	}
	text, err := new(mime.WordDecoder).DecodeHeader(raw)
	if err != nil {
		t.Errorf("%v in %q", err, raw)
	}
	return text
}

// TestSentencesOfAnyLanguage: what operators write in their own language is read in the header as
// it was written, with its weight, and the header stays ASCII.
func TestSentencesOfAnyLanguage(t *testing.T) {
	long := strings.Repeat("Слово ", 60)
	v := filter.Verdict{Action: filter.Tag, Policy: "default", Rules: "r", Score: 300,
		Reasons: []filter.Reason{
			{Symbol: "ONE", Score: 100, Describe: "Отправитель не доказан"}, {Symbol: "TWO", Score: -50, Describe: "Ο αποστολέας είναι γνωστός"},
			{Symbol: "THREE", Score: 150, Describe: "发件人未经证实"}, {Symbol: "FOUR", Score: 50, Describe: "Plain words"}, {Symbol: "FIVE", Describe: long},
		},
		Failures: []filter.Failure{{Step: "один", Reason: "времени не хватило"}, {Step: "dns", Reason: "timed out"}, {Step: "x", Reason: "超时"}},
	}
	block := stamper().Block(message("x"), v, filter.Report{}, []string{"b@example.com"})
	if slices.ContainsFunc(block, func(c byte) bool { return c >= 0x7f || c < ' ' && !strings.ContainsRune("\r\n\t", rune(c)) }) {
		t.Errorf("no ASCII: %q", block)
	}
	got := field(t, block, "X-Postern-Reasons")
	for _, want := range []string{"ONE +1.00 Отправитель не доказан ;", "TWO -0.50 Ο αποστολέας είναι γνωστός ;", "THREE +1.50 发件人未经证实 ;", "FOUR +0.50 Plain words;", "FIVE +0.00 Слово Слово"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	unchecked := field(t, block, "X-Postern-Unchecked")
	for _, want := range []string{"( времени не хватило ),", "dns (timed out),", "x ( 超时 )"} {
		if !strings.Contains(unchecked, want) {
			t.Errorf("%q is not in %q", want, unchecked)
		}
	}
	for line := range strings.Lines(string(block)) {
		if len(line) > 400 {
			t.Errorf("a line of %d octets", len(line))
		}
	}
}

// FuzzEncoded: whatever rules, failures and results of authentication say, the block is our fields
// and no others, and what is decoded of it is no line of its own.
func FuzzEncoded(f *testing.F) {
	f.Add("A sentence", "timed out", "a@b.example", false)
	f.Add("Ein Satz; mit =?utf-8?q?X?= und\r\nX-Spam-Flag: NO", "\xff\x00 ()\\", "x\"\r\n\r\nbody", true)
	f.Add("=?utf-8?b?DQpYLVNwYW0tRmxhZzogTk8=?=", "=?utf-8?q?=0D=0A?=", "=?utf-8?q?a?=@b", false)
	f.Add("中文；句子", "\u2028\u2029\u202e", "имя@пример.рф", true)
	var want []string
	s := stamper()
	for line := range strings.Lines(string(s.Block(message("x"), filter.Verdict{}, filter.Report{}, nil))) {
		if name, _, ok := strings.Cut(line, ":"); ok && line[0] != '\t' {
			want = append(want, name)
		}
	}
	f.Fuzz(func(t *testing.T, sentence, reason, value string, wide bool) {
		m := message("x")
		m.SMTPUTF8 = wide
		v := filter.Verdict{Policy: value, Rules: reason, Reasons: []filter.Reason{{Symbol: "A", Describe: sentence}, {Symbol: value, Describe: reason, Detail: value}},
			Failures: []filter.Failure{{Step: sentence, Reason: reason}, {Step: "x", Reason: value}}}
		r := filter.Report{Findings: []filter.Finding{{Symbol: "SPF", Auth: &filter.AuthResult{Method: "spf", Result: "fail", Reason: sentence,
			Props: []filter.AuthProp{{Type: "smtp", Name: "mailfrom", Value: value}, {Type: value, Name: reason, Value: sentence}}}}}}
		block := string(s.Block(m, v, r, nil))
		var got []string
		for line := range strings.Lines(block) {
			if !strings.HasSuffix(line, "\r\n") || strings.ContainsAny(strings.TrimSuffix(line, "\r\n"), "\r\n\x00") || len(line) > 1000 {
				t.Fatalf("a line %q", line)
			}
			if name, _, ok := strings.Cut(line, ":"); ok && line[0] != '\t' {
				got = append(got, name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("fields %q, want %q", got, want)
		}
		if !wide && strings.ContainsFunc(block, func(r rune) bool { return r > '~' }) {
			t.Errorf("no ASCII: %q", block)
		}
		if stamp.Result([]byte(block), "spf") != "fail" {
			t.Errorf("the result is not read back: %q", block)
		}
	})
}
