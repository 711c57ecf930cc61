// Package mech holds the server side of the SASL mechanisms that can be replayed to a
// backend: each ends in a user name and a secret.
package mech

import (
	"bytes"
	"errors"
	"strings"

	"github.com/emersion/go-sasl"
)

// ErrMalformed says that the client's response does not follow its mechanism.
var ErrMalformed = errors.New("malformed response")

// The bounds of what a client may claim, in octets.
const (
	maxUser   = 255
	maxSecret = 8 << 10
)

// Check decides about credentials; nil lets the client in.
type Check func(user, secret string) error

// Server returns the named mechanism, or nil when it is not known.
func Server(name string, check Check) sasl.Server {
	var parse func([][]byte) (user, secret string, ok bool)
	prompts := []string{""}
	switch strings.ToUpper(name) {
	case "PLAIN":
		parse = plain
	case "LOGIN":
		parse, prompts = login, []string{"Username:", "Password:"}
	case "XOAUTH2":
		parse = xoauth2
	default:
		return nil
	}
	return &server{prompts: prompts, parse: parse, check: check}
}

// server asks its prompts one by one and then judges the answers.
type server struct {
	prompts []string
	got     [][]byte
	parse   func([][]byte) (user, secret string, ok bool)
	check   Check
	asked   bool
}

// Next takes one response; nil before the first prompt means there was no initial response.
func (s *server) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil && !s.asked {
		s.asked = true
		return []byte(s.prompts[0]), false, nil
	}
	s.asked = true
	s.got = append(s.got, bytes.Clone(response))
	if len(s.got) < len(s.prompts) {
		return []byte(s.prompts[len(s.got)]), false, nil
	}
	user, secret, ok := s.parse(s.got)
	if !ok || !fit(user, maxUser) || secret == "" || len(secret) > maxSecret {
		return nil, true, ErrMalformed
	}
	return nil, true, s.check(user, secret)
}

// fit reports whether a name can be logged, stored and replayed.
func fit(user string, limit int) bool {
	if user == "" || len(user) > limit {
		return false
	}
	return strings.IndexFunc(user, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) < 0
}

// plain reads RFC 4616: authzid NUL authcid NUL passwd. Acting for another is not offered.
func plain(got [][]byte) (user, secret string, ok bool) {
	parts := bytes.Split(got[0], []byte{0})
	if len(parts) != 3 {
		return "", "", false
	}
	zid, user, secret := string(parts[0]), string(parts[1]), string(parts[2])
	return user, secret, zid == "" || zid == user
}

func login(got [][]byte) (user, secret string, ok bool) {
	return string(got[0]), string(got[1]), bytes.IndexByte(got[1], 0) < 0
}

// xoauth2 reads "user=" name ^A "auth=Bearer " token ^A ^A.
func xoauth2(got [][]byte) (user, secret string, ok bool) {
	s, ok := strings.CutSuffix(string(got[0]), "\x01\x01")
	if !ok {
		return "", "", false
	}
	for field := range strings.SplitSeq(s, "\x01") {
		key, value, _ := strings.Cut(field, "=")
		switch strings.ToLower(key) {
		case "user":
			user = value
		case "auth":
			kind, token, _ := strings.Cut(value, " ")
			if !strings.EqualFold(kind, "bearer") {
				return "", "", false
			}
			secret = token
		}
	}
	return user, secret, strings.IndexFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
