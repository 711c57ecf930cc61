package token

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postern/internal/mime"
)

func tree(text string) *mime.Tree {
	return mime.Bytes([]byte(strings.ReplaceAll(text, "\n", "\r\n")), mime.DefaultLimits())
}

func of(text string) []uint64 { return Tokenizer{Key{7}}.Of(tree(text)) }

// The vectors of the paper: the key 00..0f over the octets 00, 01, 02 ...
func TestSum(t *testing.T) {
	var k Key
	in := make([]byte, 64)
	for i := range in {
		in[i] = byte(i)
	}
	copy(k[:], in)
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := k.Sum(in[:n]); got != want {
			t.Errorf("%d octets: %x, want %x", n, got, want)
		}
	}
}

func has(all []uint64, k kind, text string) bool {
	return slices.Contains(all, k.voiced(Key{7}.Sum(append([]byte{byte(k)}, text...))))
}

func hasPair(all []uint64, k kind, first, second string, between byte) bool {
	b := []byte{byte(k) + 1, between}
	for _, w := range []string{first, second} {
		b = binary.LittleEndian.AppendUint64(b, k.voiced(Key{7}.Sum(append([]byte{byte(k)}, w...))))
	}
	return slices.Contains(all, (k + 1).voiced(Key{7}.Sum(b)))
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"Cheap PILLS now":                     {"cheap", "pills", "now"},
		"don't re-enter":                      {"don't", "re-enter"},
		"in 2023, or 1999 and 24h":            {"in", "#4", "or", "and", "#2h"},
		"pay $500!":                           {"pay", "$", "#3", "!"},
		"ｆｕｌｌ ｗｉｄｔｈ":                          {"full", "width"},
		"zero\u200bwidth soft\u00adhyphen":    {"zerowidth", "softhyphen"},
		"Pаypаl аccount":                      {"paypal", "account"},
		"中国移动":                                {"中国", "国移", "移动"},
		"你好 hello 世界":                         {"你好", "hello", "世界"},
		"ΠΡΟΣΟΧΗ Счёт":                        {"προσοχη", "счёт"},
		strings.Repeat("x", 100):              {"long 12"},
		"see https://evil.example/a me@x.org": {"see"},
	} {
		got := of("Subject: s\n\n" + text + "\n")
		for _, w := range want {
			if !has(got, kindWord, w) {
				t.Errorf("%q: no token %q", text, w)
			}
		}
	}
}

func TestPairs(t *testing.T) {
	got := of("Subject: your big prize\n\nclick the button below\n")
	for _, p := range []struct {
		k             kind
		first, second string
		between       byte
		want          bool
	}{
		{kindWord, "click", "the", 0, true}, {kindWord, "click", "button", 1, true}, {kindWord, "click", "below", 1, false}, {kindWord, "the", "click", 0, false},
		{kindSubject, "your", "big", 0, true}, {kindSubject, "your", "prize", 1, true}, {kindWord, "your", "big", 0, false},
	} {
		if hasPair(got, p.k, p.first, p.second, p.between) != p.want {
			t.Errorf("pair %+v is wrong", p)
		}
	}
	if apart := of("\n\nclick https://x.example/ the\n"); hasPair(apart, kindWord, "click", "the", 0) {
		t.Error("a link does not part words")
	}
}

func TestHeaderAndLinks(t *testing.T) {
	got := of(`From: "Your Bank" <info@mail.bank.co.uk>
Reply-To: other@crook.example
Subject: hello
X-Mailer: The Bat! 9.1
List-Id: News of dogs <dogs.example.org>
Content-Type: text/html; charset=UTF-8

<a href="http://login.evil.test/secure/account?user=1">www.bank.co.uk</a> <a href="http://192.0.2.1/">x</a>
`)
	for _, want := range []struct {
		k    kind
		text string
	}{
		{kindFrom, "bank"}, {kindFromDomain, "bank.co.uk"}, {kindFromDomain, ".co.uk"}, {kindReply, "crook.example"}, {kindReply, "another domain"},
		{kindMailer, "bat"}, {kindList, "dogs"}, {kindShape, "charset utf-8"}, {kindShape, "type text/html"},
		{kindHost, "evil.test"}, {kindHost, "an address"}, {kindHost, "shows another"}, {kindPath, "secure"}, {kindPath, "account"},
	} {
		if !has(got, want.k, want.text) {
			t.Errorf("no token %v", want)
		}
	}
}

// TestNothingOfTheWay: what servers on the way add, the day and the recipient change nothing.
func TestNothingOfTheWay(t *testing.T) {
	const bare = "From: a@b.example\nSubject: hello\n\nthe text of 2019\n"
	want := of(bare)
	for _, more := range []string{
		"Received: from x.example by y.example; Mon, 2 Jan 2006 15:04:05 +0000\n", "Authentication-Results: mx.example; spf=pass\n", "DKIM-Signature: v=1; d=b.example\n",
		"Date: Mon, 2 Jan 2006 15:04:05 +0000\n", "To: somebody@example.com\nCc: else@example.com\nDelivered-To: somebody@example.com\n", "Message-ID: <1@x.example>\n",
		"Return-Path: <a@b.example>\nReceived-SPF: pass\nARC-Seal: i=1\n", "X-Spam-Status: Yes\nX-Postern-Verdict: tag; score=9\n", "MIME-Version: 1.0\n",
	} {
		if got := of(more + bare); !slices.Equal(got, want) {
			t.Errorf("tokens differ with\n%s", more)
		}
	}
	if got := of(strings.ReplaceAll(bare, "2019", "2026")); !slices.Equal(got, want) {
		t.Error("tokens know the year")
	}
}

func TestBounds(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "word%c%c%c https://h%d.example/p%d ", 'a'+i%26, 'a'+i/26%26, 'a'+i/676%26, i, i)
	}
	got := of("Subject: " + strings.Repeat("subject ", 5000) + "\n\n" + b.String())
	if len(got) > MaxTokens || len(got) < MaxWords/2 {
		t.Errorf("%d tokens", len(got))
	}
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("tokens are not in order, each once")
	}
	if n := len(of("\n\n")); n == 0 || n > 20 {
		t.Errorf("%d tokens of an empty message", n)
	}
}

func TestScope(t *testing.T) {
	k := Tokenizer{Key{7}}
	if k.In("", 5) != 5 || k.In("a.example", 5) == 5 || k.In("a.example", 5) == k.In("b.example", 5) || k.In("a.example", 5) == k.In("a.example", 6) {
		t.Error("scopes are not apart")
	}
	if k.Name("x") == (Tokenizer{Key{8}}).Name("x") || k.Name("x") == k.Name("y") {
		t.Error("keys or names are not apart")
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"", "Subject: =?utf-8?b?5Lit5Zu9?=\r\n\r\n中国 a b\xff", "Content-Type: text/html\r\n\r\n<a href='http://a.b/%00'>www.x</a>", "\r\n\r\n\u0e01\u0e02 '-_ 1a2b \u0301\u200d"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		k := Tokenizer{Key{7}}
		first, second := k.Of(mime.Bytes(raw, mime.DefaultLimits())), k.Of(mime.Bytes(raw, mime.DefaultLimits()))
		if !slices.Equal(first, second) || len(first) > MaxTokens || !slices.IsSorted(first) {
			t.Errorf("%d and %d tokens", len(first), len(second))
		}
	})
}

// TestRelations: how the parts of a message fit each other.
func TestRelations(t *testing.T) {
	for text, want := range map[string][]string{
		"From: Bank News <a@mail.bank.example>\nSubject: x\n\nsee https://www.bank.example/a and https://bank.example/b\n": {"name domain", "local short", "links home"},
		"From: Your Bank <x7q2w9e1@else.example>\nSubject: x\n\nsee https://crook.example/a https://crook.example/b\n":     {"name elsewhere", "local short mixed", "links one elsewhere"},
		"From: averyveryverylongname1234@else.example\nSubject: x\n\nhttps://a.example/ https://b.example/\n":              {"name none", "local long digits", "links elsewhere"},
		"From: A <a@home.example>\nSubject: x\n\nhttps://home.example/ https://b.example/ https://c.example/\n":            {"links some home"},
		"From: A <a@home.example>\nSubject: your prize AB12CD\n\nnone\n":                                                   {"links none", "subject code"},
		"From: A <a@home.example>\nSubject: you     w\u200bon\n\np\u0430ypal\n":                                            {"subject padded", "subject hidden 1", "text mixed 2"},
		"From: \U0001d400 <a@home.example>\nSubject: \U0001d400\U0001d401\U0001d402\n\n\u0433\u043e\u0434 year\n":          {"name styled 1", "subject styled 4"},
	} {
		got := of(text)
		for _, w := range want {
			if !has(got, kindRelation, w) {
				t.Errorf("%q: no token %q", text, w)
			}
		}
	}
	plain := of("From: A <a@home.example>\nSubject: your prize in 2024\n\nwords \u0441\u043b\u043e\u0432\u0430 \u05e9\u05dc\u200f\u05d5\u05dd and \u200b\n")
	for _, w := range []string{"subject code", "subject padded", "text mixed 1", "text hidden 2"} {
		if has(plain, kindRelation, w) {
			t.Errorf("plain text has the token %q", w)
		}
	}
}

// TestVoices: words of the text speak with one voice, all else with the other, within a scope too.
func TestVoices(t *testing.T) {
	tok := Tokenizer{Key{7}}
	words, marks := 0, 0
	for _, h := range of("From: a@b.example\nSubject: one two\n\nthree four five\n") {
		if VoiceOf(tok.In("shop.example", h)) != VoiceOf(h) {
			t.Errorf("%x speaks otherwise within a scope", h)
		}
		if VoiceOf(h) == Word {
			words++
		} else {
			marks++
		}
	}
	if words != 6 || marks < 8 { // three words, three pairs
		t.Errorf("%d words, %d marks", words, marks)
	}
}

// TestEmbedded: what is loaded with a message is no link.
func TestEmbedded(t *testing.T) {
	got := of("From: a@b.example\nContent-Type: text/html\n\n<img src=\"https://cdn.example/logo.png\"><link rel=stylesheet href=\"https://style.example/\"><a href=\"https://go.example/\">x</a>\n")
	if has(got, kindHost, "cdn.example") || has(got, kindHost, "style.example") || !has(got, kindHost, "go.example") {
		t.Error("hosts of images and styles count, or those of links do not")
	}
}

// TestHidden: words that are not shown do not count, that there are some does.
func TestHidden(t *testing.T) {
	page := func(s string) []uint64 { return of("From: a@b.example\nContent-Type: text/html\n\n" + s + "\n") }
	salad := strings.Repeat("orchard lantern ", 40)
	plain := page("<p>meeting</p><p>" + salad + "</p>")
	hidden := page("<p>meeting</p><p style='opacity:0'>" + salad + "</p>")
	for _, x := range []struct {
		name, token string
		k           kind
		in, not     []uint64
	}{
		{"a word that is shown", "orchard", kindWord, plain, hidden},
		{"that words are hidden", "hidden transparent", kindShape, hidden, plain},
		{"how many", "hidden text 8", kindShape, hidden, plain},
		{"that they are most", "hidden most", kindShape, hidden, plain},
		{"a preview", "hidden lead 8", kindShape, page("<p style='opacity:0'>" + salad + "</p>meeting"), hidden},
		{"tiny text", "tiny text 64", kindShape, page("<p style='font-size:4px'>" + salad + "</p>"), plain},
		{"pictures alone", "links of pictures alone", kindShape, page("<a href=https://a.test/><img></a>"), page("<a href=https://a.test/>x</a>")},
	} {
		if !has(x.in, x.k, x.token) || has(x.not, x.k, x.token) {
			t.Errorf("%s: %v where it is, %v where not", x.name, has(x.in, x.k, x.token), has(x.not, x.k, x.token))
		}
	}
	if !has(hidden, kindWord, "meeting") {
		t.Error("a word beside hidden ones does not count")
	}
}
