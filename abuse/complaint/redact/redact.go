// Package redact takes the people out of addresses (RFC 6590): what stands before the @ is
// replaced by a keyed hash, so that equal people stay equal and nobody can tell who they are.
package redact

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"regexp"
	"strings"
)

// Redactor replaces local parts of addresses.
type Redactor struct {
	sum func(local string) []byte
}

// SHA1 is the form of the RFC's examples: the hash of key and local part, one behind the
// other. It serves to compare with what others redacted.
func SHA1(key string) Redactor {
	return Redactor{func(local string) []byte {
		h := sha1.Sum([]byte(key + local))
		return h[:]
	}}
}

// HMAC is the form for what we redact ourselves. Local parts that differ only in case are
// one person.
func HMAC(key []byte) Redactor {
	return Redactor{func(local string) []byte {
		m := hmac.New(func() hash.Hash { return sha256.New() }, key)
		m.Write([]byte(strings.ToLower(local)))
		return m.Sum(nil)[:20]
	}}
}

// Local is the redacted form of a local part.
func (r Redactor) Local(local string) string {
	return base64.StdEncoding.EncodeToString(r.sum(local))
}

// Address redacts what stands before the last @; a value without one is redacted whole.
func (r Redactor) Address(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return r.Local(address)
	}
	if Looks(address[:at]) {
		return address // redacted already
	}
	return r.Local(address[:at]) + address[at:]
}

var addresses = regexp.MustCompile(`[A-Za-z0-9!#$%&'*+/=?^_{|}~.\-\x80-\xff]+@[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9.\-\x80-\xff]*[A-Za-z0-9\x80-\xff])?`)

// Text redacts all addresses of a text but those keep says yes to.
func (r Redactor) Text(text string, keep func(address string) bool) string {
	return addresses.ReplaceAllStringFunc(text, func(a string) string {
		if keep != nil && keep(a) {
			return a
		}
		return r.Address(a)
	})
}

var marked = regexp.MustCompile(`(?i)^(?:\[?<?(?:redacted|removed|hidden|suppressed|undisclosed|anonymous)[^@]*|x{3,}|\*{3,}|-{3,}|_{3,}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$`)

// Looks reports whether a local part is the work of a redactor rather than a name.
func Looks(local string) bool {
	local = strings.Trim(local, "<>\" ")
	if marked.MatchString(local) {
		return true
	}
	switch len(local) {
	case 24, 28, 32, 44, 88: // base64 of hashes in use
	default:
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(local)
	if err != nil || !strings.HasSuffix(local, "=") && !strings.ContainsAny(local, "+/") {
		return false
	}
	switch len(raw) {
	case 16, 20, 24, 32, 64:
		return strings.ToLower(local) != local
	}
	return false
}

// Same reports whether two addresses, redacted or not, are written for one person.
func Same(a, b string) bool {
	la, da := cut(a)
	lb, db := cut(b)
	if !strings.EqualFold(da, db) {
		return false
	}
	if Looks(la) || Looks(lb) {
		return la == lb
	}
	return strings.EqualFold(la, lb)
}

func cut(a string) (local, domain string) {
	at := strings.LastIndexByte(a, '@')
	if at < 0 {
		return a, ""
	}
	return a[:at], a[at+1:]
}
