package instream

import (
	"fmt"
	"regexp"
	"strings"
)

// Verdict is what a reply to INSTREAM says for certain.
type Verdict uint8

// The verdicts. The zero value is no answer, so that a forgotten one is never clean.
const (
	NoAnswer Verdict = iota
	Clean
	Infected
	TooLarge // clamd refuses streams of this length: StreamMaxLength
)

// Reply is one certain answer.
type Reply struct {
	Verdict   Verdict
	Signature string // of Infected: printable ASCII, at most 200 bytes
}

// maxReply bounds what is read of any reply. The longest honest ones are a few hundred bytes.
const maxReply = 4096

// sizeLimit is clamd's whole reply to a stream over StreamMaxLength: without "stream:".
const sizeLimit = "INSTREAM size limit exceeded. ERROR"

// detail is what ExtendedDetectionInfo (on in Debian's clamd.conf) adds to a signature.
var detail = regexp.MustCompile(`\([0-9a-fA-F]{32,64}:[0-9]+\)$`)

// parseReply reads everything clamd sent before it closed the connection. Exactly one
// terminated reply of a known form is an answer, all else is an error.
func parseReply(raw []byte) (Reply, error) {
	text, err := single(raw)
	if err != nil {
		return Reply{}, err
	}
	if text == sizeLimit {
		return Reply{Verdict: TooLarge}, nil
	}
	if strings.HasSuffix(text, "ERROR") {
		return Reply{}, &Error{Kind: Refused, Text: printable(text)}
	}
	rest, ok := strings.CutPrefix(text, "stream: ")
	if !ok {
		return Reply{}, &Error{Kind: Garbage, Text: printable(text)}
	}
	if rest == "OK" {
		return Reply{Verdict: Clean}, nil
	}
	name, ok := strings.CutSuffix(rest, " FOUND")
	name = strings.TrimSpace(detail.ReplaceAllString(name, ""))
	if !ok || name == "" {
		return Reply{}, &Error{Kind: Garbage, Text: printable(text)}
	}
	return Reply{Verdict: Infected, Signature: printable(name)}, nil
}

// single is the one reply in raw without its terminator.
func single(raw []byte) (string, error) {
	if len(raw) == 0 {
		return "", &Error{Kind: Crashed, Text: "connection closed without a reply"}
	}
	if len(raw) > maxReply {
		return "", &Error{Kind: Garbage, Text: fmt.Sprintf("a reply of more than %d bytes", maxReply)}
	}
	text, terminated := strings.CutSuffix(string(raw), "\x00")
	switch {
	case !terminated:
		return "", &Error{Kind: Garbage, Text: "a reply that was cut off: " + printable(string(raw))}
	case strings.ContainsAny(text, "\x00\n\r"):
		return "", &Error{Kind: Garbage, Text: "more than one reply: " + printable(text)}
	}
	return text, nil
}

// printable makes clamd's words fit for logs and headers.
func printable(s string) string {
	const most = 200
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
