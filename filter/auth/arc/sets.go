package arc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"postern/filter/auth/signature"
	"postern/internal/canon"
)

// The names of the three fields of a set.
const (
	nameResults = "ARC-Authentication-Results"
	nameMessage = "ARC-Message-Signature"
	nameSeal    = "ARC-Seal"
)

// set is one ARC Set as it stands in the header.
type set struct {
	instance int
	results  string // the payload of ARC-Authentication-Results
	message  signature.Signature
	seal     signature.Signature

	resultsField, messageField, sealField *canon.Field

	bodyFits  bool
	unchanged bool
}

// collect sorts the fields of all sets by their instance. With an error, what could be read
// is returned too.
func collect(h *canon.Header) ([]*set, error) {
	var byInstance [MaxSets + 1]*set
	var first error
	for _, kind := range []struct {
		name string
		take func(*set, *canon.Field) (int, error)
	}{{nameResults, takeResults}, {nameMessage, takeMessage}, {nameSeal, takeSeal}} {
		for _, at := range h.Named(strings.ToLower(kind.name)) {
			var s set
			i, err := kind.take(&s, &h.Fields[at])
			if err == nil && byInstance[i] == nil {
				byInstance[i] = &set{instance: i}
			}
			if err == nil {
				err = byInstance[i].merge(&s)
			}
			if err != nil && first == nil {
				first = in(kind.name, i, err)
			}
		}
	}
	var sets []*set
	for _, s := range byInstance {
		if s != nil {
			sets = append(sets, s)
		}
	}
	return sets, first
}

var errTwice = errors.New("the field is there twice")

// merge takes over the one field that other holds.
func (s *set) merge(other *set) error {
	switch {
	case other.resultsField != nil && s.resultsField == nil:
		s.resultsField, s.results = other.resultsField, other.results
	case other.messageField != nil && s.messageField == nil:
		s.messageField, s.message = other.messageField, other.message
	case other.sealField != nil && s.sealField == nil:
		s.sealField, s.seal = other.sealField, other.seal
	default:
		return errTwice
	}
	return nil
}

func takeMessage(s *set, f *canon.Field) (int, error) {
	s.messageField = f
	return takeTags(&s.message, f)
}

func takeSeal(s *set, f *canon.Field) (int, error) {
	s.sealField = f
	return takeTags(&s.seal, f)
}

func takeTags(s *signature.Signature, f *canon.Field) (int, error) {
	if err := s.Read(*f, canon.ParseTagsStrictly); err != nil {
		return 0, err
	}
	return instance(s.Tags["i"])
}

// takeResults reads "i=1; payload" (RFC 8617 section 4.1.1), where comments may stand too.
func takeResults(s *set, f *canon.Field) (int, error) {
	s.resultsField = f
	form := canon.FieldForm(f.Raw, true)
	_, value, _ := strings.Cut(strings.TrimSuffix(string(form), "\r\n"), ":")
	rest := value
	for _, want := range []string{"i", "="} {
		var ok bool
		if rest, ok = strings.CutPrefix(skipComments(rest), want); !ok {
			return 0, errors.New("it does not begin with i=")
		}
	}
	rest = skipComments(rest)
	digits := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	payload, ok := strings.CutPrefix(skipComments(rest[len(digits):]), ";")
	if !ok {
		return 0, errors.New("it does not begin with i=")
	}
	s.results = strings.TrimSpace(payload)
	return instance(digits)
}

func instance(digits string) (int, error) {
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
		s = strings.TrimLeft(s, " \t\r\n")
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
