// Package auth proves who sent a message: SPF of the envelope, DKIM of the signatures, and
// DMARC, which ties both to the address that people are shown.
package auth

import (
	"context"
	"net/netip"
	"strings"

	"postern/internal/dns"
)

// Resolver asks the DNS; *dns.Resolver is one. Errors are *net.DNSError.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
}

// symbol is the symbol of a result: SPF_PASS, DKIM_NONE, DMARC_FAIL ...
func symbol(method, result string) string {
	return strings.ToUpper(method + "_" + result)
}
