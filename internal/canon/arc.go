package canon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MaxSets is how many ARC Sets a message can have (RFC 8617 section 4.2.1).
const MaxSets = 50

// The names of the three fields of an ARC Set.
const (
	ArcResults = "ARC-Authentication-Results"
	ArcMessage = "ARC-Message-Signature"
	ArcSeal    = "ARC-Seal"
)

var errNoInstance = errors.New("it does not begin with i=")

// ResultsInstance reads "i=1; payload" of an ARC-Authentication-Results field (RFC 8617
// section 4.1.1), where comments may stand too. The payload is unfolded.
func ResultsInstance(f Field) (instance int, payload string, err error) {
	form := FieldForm(f.Raw, true)
	_, rest, _ := strings.Cut(strings.TrimSuffix(string(form), "\r\n"), ":")
	for _, want := range []string{"i", "="} {
		var ok bool
		if rest, ok = strings.CutPrefix(skipComments(rest), want); !ok {
			return 0, "", errNoInstance
		}
	}
	rest = skipComments(rest)
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	payload, ok := strings.CutPrefix(skipComments(rest[len(digits):]), ";")
	if !ok {
		return 0, "", errNoInstance
	}
	instance, err = Instance(digits)
	return instance, strings.TrimSpace(payload), err
}

// Instance reads the value of an i= tag of ARC.
func Instance(digits string) (int, error) {
	if len(digits) == 0 || len(digits) > 2 || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("i=%.20s is no instance", digits)
	}
	i, err := strconv.Atoi(digits)
	if err != nil || i < 1 || i > MaxSets {
		return 0, fmt.Errorf("i=%.20s is not in 1 to %d", digits, MaxSets)
	}
	return i, nil
}

// skipComments drops blanks and comments at the front (RFC 5322 section 3.2.2).
func skipComments(s string) string {
	for {
		s = strings.TrimLeft(s, blanks)
		if !strings.HasPrefix(s, "(") {
			return s
		}
		depth, i := 0, 0
		for ; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth == 0 {
				break
			}
		}
		if i >= len(s) {
			return ""
		}
		s = s[i+1:]
	}
}
