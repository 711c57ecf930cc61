// Package reply reads what a server answers, inside hard bounds, and makes it safe to show.
package reply

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// ErrProtocol is the cause when the server broke the protocol: a malformed or
// oversized reply, a code that cannot stand at that stage, a reply nobody asked for.
var ErrProtocol = errors.New("protocol error")

// Bounds on what a server may say. EHLO answers of real servers have some 20 lines.
const (
	maxLine      = 4096     // bytes of one line on the wire
	maxLines     = 128      // lines of one reply
	maxReply     = 32 << 10 // bytes of one reply
	maxLineText  = 500      // bytes of a line that are kept
	maxReplyText = 400      // bytes of Reply.Text: with code and enhanced code under 512
)

// Reply is one answer of a server, safe to show and to pass on: printable ASCII on one line.
type Reply struct {
	Code     int
	Enhanced string   // RFC 3463 code such as "5.1.1", "" when there was none
	Text     string   // all lines joined, without the codes, bounded in length
	Lines    []string // the lines one by one
}

// OK reports a 2xx.
func (r Reply) OK() bool { return r.Code/100 == 2 }

// Temporary reports a 4xx.
func (r Reply) Temporary() bool { return r.Code/100 == 4 }

// Permanent reports a 5xx.
func (r Reply) Permanent() bool { return r.Code/100 == 5 }

// String is the reply as one line: "550 5.1.1 no such user".
func (r Reply) String() string {
	s := fmt.Sprintf("%03d", r.Code)
	if r.Enhanced != "" {
		s += " " + r.Enhanced
	}
	if r.Text != "" {
		s += " " + r.Text
	}
	return s
}

// Buffer is the size of the bufio.Reader that Read needs.
const Buffer = maxLine

// Local is an answer of our own, made before anything was sent.
func Local(code int, enhanced, text string) Reply {
	return Reply{Code: code, Enhanced: enhanced, Text: text, Lines: []string{text}}
}

// Read reads one reply (RFC 5321 section 4.2) from a reader of size Buffer. Lines must end
// in CRLF: a server that mixes line ends may mean something else than we read.
func Read(r *bufio.Reader) (Reply, error) {
	var reply Reply
	total := 0
	for n := 0; ; n++ {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			return reply, fmt.Errorf("%w: reply line over %d bytes", ErrProtocol, maxLine)
		}
		if err != nil {
			return reply, err
		}
		total += len(line)
		if n == maxLines || total > maxReply {
			return reply, fmt.Errorf("%w: reply over %d lines or %d bytes", ErrProtocol, maxLines, maxReply)
		}
		code, text, more, err := parseLine(line)
		if err != nil {
			return reply, err
		}
		if n > 0 && code != reply.Code {
			return reply, fmt.Errorf("%w: codes %d and %d in one reply", ErrProtocol, reply.Code, code)
		}
		reply.Code = code
		reply.add(text)
		if !more {
			reply.Text = clip(strings.Join(reply.Lines, " "), maxReplyText)
			return reply, nil
		}
	}
}

// parseLine splits "250-text CRLF" and makes the text safe.
func parseLine(line []byte) (code int, text string, more bool, err error) {
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return 0, "", false, fmt.Errorf("%w: reply line without CRLF", ErrProtocol)
	}
	line = line[:len(line)-2]
	if bytes.IndexByte(line, '\r') >= 0 {
		return 0, "", false, fmt.Errorf("%w: bare CR in a reply line", ErrProtocol)
	}
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, "", false, fmt.Errorf("%w: reply without a code: %q", ErrProtocol, clip(sanitise(line), 40))
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	switch {
	case len(line) == 3:
		return code, "", false, nil
	case line[3] == ' ' || line[3] == '-':
		return code, sanitise(line[4:]), line[3] == '-', nil
	default:
		return 0, "", false, fmt.Errorf("%w: reply code with a tail: %q", ErrProtocol, clip(sanitise(line), 40))
	}
}

// add keeps a line; an enhanced code at its start is taken off it.
func (r *Reply) add(text string) {
	if code, rest := cutEnhanced(text, r.Code/100); code != "" {
		text = rest
		if r.Enhanced == "" {
			r.Enhanced = code
		}
	}
	r.Lines = append(r.Lines, text)
}

// cutEnhanced takes "5.1.1 text" apart when the code has the class of the reply.
func cutEnhanced(text string, class int) (code, rest string) {
	code, rest, _ = strings.Cut(text, " ")
	if len(code) < 5 || len(code) > 9 || code[0] != byte('0'+class) || code[1] != '.' {
		return "", text
	}
	subject, detail, ok := strings.Cut(code[2:], ".")
	if !ok || !isNumber(subject) || !isNumber(detail) {
		return "", text
	}
	return code, rest
}

func isNumber(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 3
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// sanitise keeps printable ASCII; everything else becomes "?", so that a reply can stand in
// a log, on a terminal and in our own answer.
func sanitise(b []byte) string {
	b = b[:min(len(b), maxLineText)]
	for i, c := range b {
		if c < ' ' || c > '~' {
			safe := append([]byte(nil), b...)
			for j := i; j < len(safe); j++ {
				if safe[j] < ' ' || safe[j] > '~' {
					safe[j] = '?'
				}
			}
			return string(safe)
		}
	}
	return string(b)
}

func clip(s string, n int) string { return s[:min(len(s), n)] }
