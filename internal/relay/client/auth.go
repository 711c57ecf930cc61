package client

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Auth logs in with PLAIN, LOGIN or XOAUTH2 (secret is the password or the token), over
// verified TLS only. A refused login is an *Error whose Reply is the server's answer; the
// connection is closed then.
func (c *Conn) Auth(ctx context.Context, mech, user, secret string) error {
	if !c.tls.Verified {
		return c.fail(StageAuth, Reply{}, ErrNotVerified)
	}
	mech = strings.ToUpper(mech)
	if mech == "" {
		mech = "PLAIN"
		if !slices.Contains(c.ext.Auth, mech) {
			mech = "LOGIN"
		}
	}
	if !slices.Contains(c.ext.Auth, mech) {
		return c.fail(StageAuth, Reply{}, fmt.Errorf("%w: %s", ErrNoMechanism, mech))
	}
	// NUL parts the fields of PLAIN, 0x01 those of XOAUTH2.
	if user == "" || strings.ContainsAny(user+secret, "\x00\x01\r\n") {
		return c.fail(StageAuth, Reply{}, ErrCredentials)
	}
	var answers []string
	switch mech {
	case "PLAIN":
		answers = []string{"\x00" + user + "\x00" + secret}
	case "LOGIN":
		answers = []string{user, secret}
	case "XOAUTH2":
		answers = []string{"user=" + user + "\x01auth=Bearer " + secret + "\x01\x01"}
	default:
		return c.fail(StageAuth, Reply{}, fmt.Errorf("%w: %s", ErrNoMechanism, mech))
	}
	return c.exchange(ctx, mech, answers)
}

// maxInitial is the longest initial response: the command line is 512 bytes at most, longer
// ones follow the server's first challenge (RFC 4954 section 4).
const maxInitial = 490

func (c *Conn) exchange(ctx context.Context, mech string, answers []string) error {
	line := "AUTH " + mech
	if first := encode(answers[0]); mech != "LOGIN" && len(line)+len(first) < maxInitial {
		line, answers = line+" "+first, answers[1:]
	}
	// After its answers the client has only the empty one to give: XOAUTH2 explains a
	// failure in a challenge.
	for range len(answers) + 2 {
		r, err := c.ask(ctx, StageAuth, line)
		if err != nil {
			return err
		}
		switch {
		case r.Code == 235:
			return nil
		case r.Code != 334:
			return c.fail(StageAuth, r, nil)
		}
		line = ""
		if len(answers) > 0 {
			line, answers = encode(answers[0]), answers[1:]
		}
	}
	return c.fail(StageAuth, Reply{}, fmt.Errorf("%w: challenge after challenge", ErrProtocol))
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
