package session

import (
	"strconv"
	"strings"

	"postern/internal/smtpd/contract"
	"postern/internal/smtpd/wire"
)

// Offer lists the EHLO keywords that depend on the backends and on TLS.
func (s *Shared) Offer(l *contract.Listener, c *wire.Conn) []string {
	ext := l.Offered()
	out := []string{"SIZE " + strconv.FormatInt(l.MessageLimit(s.Config().Limits), 10)}
	if ext.EightBit {
		out = append(out, "8BITMIME")
	}
	if ext.SMTPUTF8 {
		out = append(out, "SMTPUTF8")
	}
	if mechs := s.mechanisms(l, c); len(mechs) > 0 {
		out = append(out, "AUTH "+strings.Join(mechs, " "))
	}
	return out
}
