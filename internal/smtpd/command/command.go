// Package command reads SMTP command lines: verbs, paths, parameters and XCLIENT
// attributes. It knows no state.
package command

import (
	"errors"
	"strconv"
	"strings"
)

// What is wrong with a command's arguments.
var (
	ErrSyntax    = errors.New("syntax error")
	ErrDuplicate = errors.New("parameter given twice")
	ErrTooMany   = errors.New("too many parameters")
)

// maxParams bounds the ESMTP parameters of one command.
const maxParams = 16

// Split cuts a line without its end into the verb, in upper case, and its argument.
func Split(line string) (verb, arg string) {
	verb, arg, _ = strings.Cut(line, " ")
	return strings.ToUpper(verb), strings.Trim(arg, " ")
}

// Plain reports whether the line holds no control character; a tab counts as one, except
// between words.
func Plain(line string) bool {
	for i := range len(line) {
		if c := line[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// ASCII reports whether the line holds no octet over 127.
func ASCII(line string) bool {
	for i := range len(line) {
		if line[i] >= 0x80 {
			return false
		}
	}
	return true
}

// Host reports whether s can be the name of HELO or EHLO: one word of printable ASCII
// without what means something in a header.
func Host(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || strings.IndexByte(`()<>@,;\"`, c) >= 0 {
			return false
		}
	}
	return s != "" && len(s) <= 255
}

// Foreign reports whether a client speaks another protocol: HTTP, TLS without STARTTLS, SSH
// or a PROXY header, in text or binary, from a peer that may not send one.
func Foreign(line string) bool {
	verb, arg, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI":
		return strings.Contains(strings.ToUpper(arg), "HTTP/") || strings.HasPrefix(arg, "/")
	case "PROXY", "HOST:", "USER-AGENT:":
		return true
	}
	return strings.HasPrefix(line, "\x16\x03") || strings.HasPrefix(line, "SSH-") || strings.HasPrefix(line, "\x00")
}

// Path reads the argument of MAIL or RCPT: the keyword ("FROM:" or "TO:"), the path and what
// follows. The path comes back raw, without its angle brackets, which may be missing.
func Path(arg, keyword string) (path, params string, err error) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", ErrSyntax
	}
	arg = strings.TrimLeft(arg[len(keyword):], " \t")
	in, bracket := strings.CutPrefix(arg, "<")
	if !bracket {
		path, params, _ = strings.Cut(arg, " ")
		if path == "" || strings.ContainsAny(path, `<>"`) {
			return "", "", ErrSyntax
		}
		return path, params, nil
	}
	end := closing(in)
	if end < 0 {
		return "", "", ErrSyntax
	}
	path, params = in[:end], in[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", ErrSyntax
	}
	return path, params, nil
}

// closing finds the ">" that ends a path; one inside quotes is text.
func closing(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		case c == '<' && !quoted:
			return -1
		}
	}
	return -1
}

// Param is one ESMTP parameter, its key in upper case.
type Param struct{ Key, Value string }

// Params reads ESMTP parameters (RFC 5321 section 4.1.2).
func Params(s string) ([]Param, error) {
	words := strings.Fields(s)
	if len(words) > maxParams {
		return nil, ErrTooMany
	}
	seen := map[string]bool{}
	out := make([]Param, 0, len(words))
	for _, w := range words {
		key, value, has := strings.Cut(w, "=")
		key = strings.ToUpper(key)
		if key == "" || has && value == "" || strings.ContainsRune(value, '=') {
			return nil, ErrSyntax
		}
		if seen[key] {
			return nil, ErrDuplicate
		}
		seen[key] = true
		out = append(out, Param{key, value})
	}
	return out, nil
}

// Size reads the value of SIZE (RFC 1870). A number over 64 bits comes back as the largest.
func Size(s string) (int64, error) {
	if s == "" || len(s) > 20 || strings.Trim(s, "0123456789") != "" {
		return 0, ErrSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, ErrSyntax
	}
	return n, nil // on ErrRange n is the largest int64
}
