// Package kin finds labelled mail that belongs together: of one sender or of one campaign. Who
// judges by what is known of a letter's kin judges what he knows, not what will come; and a
// hundred copies of one letter are no hundred witnesses.
package kin

import (
	"strings"
	"unicode"

	"postern/internal/address"
	"postern/internal/mime"
)

// What is looked at of a letter, in letters of its text.
const (
	subject, leastSubject = 80, 24
	text, leastText       = 120, 100
)

// anybody are domains in which strangers have addresses: letters of two of them are no kin.
var anybody = map[string]bool{
	"aol.com": true, "gmail.com": true, "gmx.de": true, "gmx.net": true, "googlemail.com": true, "hotmail.com": true, "hotmail.de": true,
	"icloud.com": true, "live.com": true, "mail.ru": true, "msn.com": true, "outlook.com": true, "qq.com": true, "163.com": true, "126.com": true,
	"web.de": true, "yahoo.com": true, "yandex.ru": true,
}

// Keys are what ties a letter to its kin: the domain of its author where that is one's own, its
// subject and the beginning of its text without numbers and blanks. There is at least one.
func Keys(tree *mime.Tree) []string {
	domain := ""
	if from := tree.From(); len(from) > 0 {
		domain = address.Registered(strings.ToLower(from[0].Domain))
	}
	about, says := bare(tree.Subject(), subject), bare(tree.Text(), text)
	var out []string
	if domain != "" && !anybody[domain] {
		out = append(out, "d "+domain)
	}
	if len(about) > leastSubject {
		out = append(out, "s "+about)
	}
	if len(says) > leastText {
		out = append(out, "t "+says)
	}
	if len(out) == 0 {
		out = append(out, "o "+domain+about+says)
	}
	return out
}

// bare is the first n octets or a few more of the letters in s, without marks of an answer.
func bare(s string, n int) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsLetter(r) && b.Len() < n {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(b.String(), "re"), "fwd")
}

// Groups numbers the groups of letters that have keys in common, themselves or by way of others,
// in the order of their first letters.
func Groups(keys [][]string) []int {
	u := union{}
	for _, k := range keys {
		u.join(k)
	}
	numbers := map[string]int{}
	out := make([]int, len(keys))
	for i, k := range keys {
		root := u.find(k[0])
		n, known := numbers[root]
		if !known {
			n = len(numbers)
			numbers[root] = n
		}
		out[i] = n
	}
	return out
}

// union leads from each key to one of its group, that of the group to itself.
type union map[string]string

func (u union) find(key string) string {
	root := key
	for u[root] != "" && u[root] != root {
		root = u[root]
	}
	for key != root {
		key, u[key] = u[key], root
	}
	return root
}

func (u union) join(keys []string) {
	root := u.find(keys[0])
	u[root] = root
	for _, k := range keys[1:] {
		u[u.find(k)] = root
	}
}
