package stamp

import (
	"bytes"
	"slices"
	"strings"

	"postern/filter"
)

// resultsMax bounds the results of one field.
const resultsMax = 32

// results are the authentication results of a report, in its order.
func results(r filter.Report) []*filter.AuthResult {
	var out []*filter.AuthResult
	for _, f := range r.Findings {
		if f.Auth != nil && !slices.Contains(out, f.Auth) {
			out = append(out, f.Auth)
		}
	}
	return out
}

// authResults writes an Authentication-Results field (RFC 8601 section 2.2). What is no
// keyword is left out; values are quoted as needed; with wide they may hold UTF-8.
func authResults(b *bytes.Buffer, id string, all []*filter.AuthResult, wide bool) {
	words := []string{token(id, false) + ";"}
	var told []string
	for _, r := range all {
		info := resinfo(r, wide)
		if text := strings.Join(info, " "); info != nil && !slices.Contains(told, text) && len(told) < resultsMax {
			told = append(told, text)
			info[0] = fold + info[0]
			words = append(words, info...)
			words[len(words)-1] += ";"
		}
	}
	if len(told) == 0 {
		words = append(words, "none")
	}
	words[len(words)-1] = strings.TrimSuffix(words[len(words)-1], ";")
	writeField(b, "Authentication-Results", words)
}

func resinfo(r *filter.AuthResult, wide bool) []string {
	method, result := strings.ToLower(r.Method), strings.ToLower(r.Result)
	if !isKeyword(method) || !isKeyword(result) {
		return nil
	}
	words := []string{method + "=" + result}
	if r.Reason != "" {
		words = append(words, "reason="+quote(cut(r.Reason, describeMax), wide))
	}
	for _, p := range r.Props {
		if isKeyword(p.Type) && isKeyword(p.Name) && p.Value != "" {
			words = append(words, p.Type+"."+p.Name+"="+pvalue(p.Value, wide))
		}
	}
	return words
}

// Result is what a block of ours tells of a method ("arc": "pass"), of several results the
// first; "" when it tells nothing.
func Result(block []byte, method string) string {
	result := ""
	_ = eachField(bytes.NewReader(block), func(f rawField) bool {
		if !f.named("Authentication-Results") {
			return true
		}
		for line := range bytes.Lines(f.value()) { // each result begins a line
			if rest, ok := bytes.CutPrefix(line, []byte("\t"+method+"=")); ok && result == "" {
				end := bytes.IndexAny(rest, " ;\r\n")
				result = string(rest[:max(end, 0)])
			}
		}
		return false
	})
	return result
}

// isKeyword reports a Keyword of RFC 8601 section 2.2.
func isKeyword(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && (c != '-' && c != '_' || i == 0 || i == len(s)-1) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// pvalue is a value, or a mailbox as it stands where it needs no quotes.
func pvalue(s string, wide bool) string {
	s = cut(s, wordMax)
	local, domain, ok := strings.Cut(s, "@")
	if ok && (local == "" || isToken(local)) && isToken(domain) {
		return s
	}
	return token(s, wide)
}

// token is s as a value of RFC 2045 section 5.1: a token, or else a quoted-string.
func token(s string, wide bool) string {
	if isToken(s) && len(s) <= wordMax {
		return s
	}
	return quote(s, wide)
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// speaksAs reports whether the value of an Authentication-Results field claims to be of id.
// It is read in every way a lenient reader might: with comments and quotes taken away, as
// one word or as all before the first semicolon.
func speaksAs(value []byte, id string) bool {
	first, whole, open := readID(value)
	if open { // never closed, or longer than we look: nobody can say what a reader makes of it
		return len(value) >= openMax || strings.Contains(strings.ToLower(string(value)), strings.ToLower(id))
	}
	for _, got := range []string{first, whole} {
		got, _, _ = strings.Cut(got, "/")
		if strings.EqualFold(strings.TrimSuffix(got, "."), strings.TrimSuffix(id, ".")) {
			return true
		}
	}
	return false
}

// openMax is the length from which a value without an end of its first part is not trusted.
const openMax = fieldMax - 1<<10

// readID reads up to the first semicolon: first is the first word, whole all words joined.
// open says that a comment or quoted-string did not end, or that no semicolon came before a
// value of the longest kind ended.
func readID(value []byte) (first, whole string, open bool) {
	var all strings.Builder
	depth, quoted, word := 0, false, false
	end := func() {
		if word && first == "" {
			first = all.String()
		}
		word = false
	}
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && (quoted || depth > 0) && i+1 < len(value):
			i++
			if depth == 0 {
				all.WriteByte(value[i])
				word = true
			}
		case depth > 0:
			switch c {
			case '(':
				depth++
			case ')':
				depth--
			}
		case c == '"':
			quoted = !quoted
		case quoted:
			all.WriteByte(c)
			word = true
		case c == '(':
			end()
			depth++
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			end()
		case c == ';':
			end()
			return first, all.String(), false
		default:
			all.WriteByte(c)
			word = true
		}
	}
	end()
	return first, all.String(), depth > 0 || quoted || len(value) >= openMax
}
