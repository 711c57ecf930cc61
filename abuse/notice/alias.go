package notice

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// Aliases are the addresses under which a case is answered: nobody guesses one, and none needs
// to be kept.
type Aliases struct {
	Key    []byte
	Domain string
}

const sumChars = 20 // 80 bits of the HMAC

func (a Aliases) sum(caseID string) string {
	h := hmac.New(sha256.New, a.Key)
	h.Write([]byte("case alias\x00" + caseID))
	return hex.EncodeToString(h.Sum(nil))[:sumChars]
}

// For is the address of a case, such as a-2026-000042-0123456789abcdef0123@abuse.example.
func (a Aliases) For(caseID string) string {
	return strings.ToLower(caseID) + "-" + a.sum(caseID) + "@" + a.Domain
}

// Case is the case that an address belongs to.
func (a Aliases) Case(address string) (id string, ok bool) {
	local, domain, found := strings.Cut(strings.ToLower(address), "@")
	i := strings.LastIndexByte(local, '-')
	if !found || domain != strings.ToLower(a.Domain) || i < 0 || !strings.HasPrefix(local, "a-") {
		return "", false
	}
	id = strings.ToUpper(local[:i])
	return id, hmac.Equal([]byte(local[i+1:]), []byte(a.sum(id)))
}
