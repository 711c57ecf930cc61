package arc

import (
	"errors"
	"strings"

	"postern/filter/auth/signature"
	"postern/internal/canon"
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
	var byInstance [canon.MaxSets + 1]*set
	var first error
	for _, kind := range []struct {
		name string
		take func(*set, *canon.Field) (int, error)
	}{{canon.ArcResults, takeResults}, {canon.ArcMessage, takeMessage}, {canon.ArcSeal, takeSeal}} {
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
	return canon.Instance(s.Tags["i"])
}

func takeResults(s *set, f *canon.Field) (i int, err error) {
	s.resultsField = f
	i, s.results, err = canon.ResultsInstance(*f)
	return i, err
}
