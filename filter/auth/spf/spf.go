// Package spf evaluates Sender Policy Framework records: RFC 7208, whole.
package spf

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"postern/internal/dns"
)

// Result is what an evaluation came to (RFC 7208 section 2.6).
type Result string

// The results.
const (
	None      Result = "none"
	Neutral   Result = "neutral"
	Pass      Result = "pass"
	Fail      Result = "fail"
	SoftFail  Result = "softfail"
	TempError Result = "temperror"
	PermError Result = "permerror"
)

// The limits of RFC 7208 section 4.6.4, and one of our own on all questions together: ten
// mx terms with ten hosts each would be a hundred.
const (
	MaxTerms     = 10 // terms that ask the DNS
	MaxVoid      = 2  // answers without a record
	MaxNames     = 10 // hosts of one mx, names of one ptr
	MaxQuestions = 40
	maxTime      = 20 * time.Second
	maxRecord    = 64 << 10 // octets, more than an answer of the DNS can hold
)

// Resolver asks the DNS; *dns.Resolver is one. Errors are *net.DNSError, IsNotFound where
// there is no such record.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error)
	A(ctx context.Context, name string) ([]netip.Addr, error)
	AAAA(ctx context.Context, name string) ([]netip.Addr, error)
	MX(ctx context.Context, name string) ([]dns.MX, error)
	PTR(ctx context.Context, ip netip.Addr) ([]string, error)
}

// Request is one evaluation.
type Request struct {
	IP       netip.Addr
	Sender   string // MAIL FROM; "" = the null sender, then postmaster@Helo is judged
	Helo     string
	Receiver string           // our host name, for %{r}
	Now      func() time.Time // for %{t}; nil = time.Now
}

func (r Request) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// Outcome is what an evaluation found.
type Outcome struct {
	Result      Result
	Domain      string // whose record was asked for
	Term        string // the directive that decided, as published, or ""
	Explanation string // what the domain says about a fail: printable ASCII, a stranger's words
	Problem     string // what went wrong, for temperror and permerror
	Err         error  // the cause of a temperror, or nil
}

// Check evaluates check_host() for a request. It takes 20 s at most.
func Check(ctx context.Context, res Resolver, req Request) Outcome {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	e := &eval{res: res, req: req, ip: req.IP.Unmap().WithZone("")}
	sender := req.Sender
	if sender == "" {
		sender = "postmaster@" + req.Helo
	}
	at := strings.LastIndexByte(sender, '@')
	e.local, e.senderDomain = "postmaster", strings.TrimSuffix(sender[at+1:], ".")
	if at > 0 {
		e.local = sender[:at]
	}
	out := Outcome{Result: None, Domain: e.senderDomain}
	if !e.ip.IsValid() || !isDomain(e.senderDomain) {
		return out
	}
	v := e.checkHost(ctx, e.senderDomain, 0)
	out.Result, out.Term, out.Problem, out.Err = v.result, v.term, v.problem, v.err
	if v.result == Fail && v.exp != "" {
		out.Explanation = e.explain(ctx, v.exp, v.domain)
	}
	return out
}

// isDomain reports whether s can be looked up as a sender's domain: at least two labels,
// none empty or over 63 octets (section 4.3).
func isDomain(s string) bool {
	if len(s) > 253 || strings.HasPrefix(s, "[") {
		return false
	}
	labels := 0
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		labels++
	}
	return labels > 1
}
