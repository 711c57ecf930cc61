package entity

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// Validate says why a Store may not take r, or nil. Its error is ErrInvalid.
func (r Record) Validate() error {
	switch {
	case !name(string(r.Kind)):
		return fmt.Errorf("kind %q: %w", r.Kind, ErrInvalid)
	case !validID(r.ID):
		return fmt.Errorf("%s: the ID %q: %w", r.Kind, r.ID, ErrInvalid)
	case r.Version == 0:
		return fmt.Errorf("%s %s: version 0: %w", r.Kind, r.ID, ErrInvalid)
	case len(r.Data) > MaxData:
		return fmt.Errorf("%s %s has %d octets, at most %d are taken: %w", r.Kind, r.ID, len(r.Data), MaxData, ErrInvalid)
	case !json.Valid(r.Data):
		return fmt.Errorf("%s %s is no JSON: %w", r.Kind, r.ID, ErrInvalid)
	case len(r.Keys) > MaxKeys:
		return fmt.Errorf("%s %s has %d keys, at most %d are taken: %w", r.Kind, r.ID, len(r.Keys), MaxKeys, ErrInvalid)
	}
	for _, k := range r.Keys {
		if !name(k.Index) || len(k.Value) > MaxValue || !utf8.ValidString(k.Value) {
			return fmt.Errorf("%s %s: key %s=%.40q: %w", r.Kind, r.ID, k.Index, k.Value, ErrInvalid)
		}
	}
	return nil
}

func name(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

func validID(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == ':', c == '@', c == '+', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= MaxID
}
