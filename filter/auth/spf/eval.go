package spf

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// eval is the state of one evaluation, shared by all records it comes through.
type eval struct {
	res          Resolver
	req          Request
	ip           netip.Addr
	local        string
	senderDomain string

	terms, voids, questions int

	namesKnown bool
	names      []string // validated reverse names
}

// verdict is what one record came to.
type verdict struct {
	result  Result
	term    string
	problem string
	err     error
	exp     string // domain-spec of the record that decided
	domain  string // the domain of that record
}

func permError(format string, args ...any) verdict {
	return verdict{result: PermError, problem: fmt.Sprintf(format, args...)}
}

func tempError(err error) verdict {
	return verdict{result: TempError, problem: "the DNS did not answer", err: err}
}

// Reasons to stop that are found inside a lookup.
var (
	errVoid      = errors.New("more than 2 lookups without an answer")
	errQuestions = errors.New("more than 40 DNS questions")
	errTerms     = errors.New("more than 10 terms that need the DNS")
)

// stop turns the error of a term into the verdict of its record.
func stop(err error) verdict {
	if errors.Is(err, errVoid) || errors.Is(err, errQuestions) || errors.Is(err, errTerms) {
		return verdict{result: PermError, problem: err.Error()}
	}
	return tempError(err)
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// checkHost finds and evaluates the record of a domain (RFC 7208 section 4). Depth counts
// includes and redirects, which the count of terms bounds too.
func (e *eval) checkHost(ctx context.Context, domain string, depth int) verdict {
	if depth > MaxTerms {
		return stop(errTerms)
	}
	txt, err := e.record(ctx, domain)
	switch {
	case notFound(err):
		return verdict{result: None}
	case err != nil:
		return stop(err)
	}
	var found []string
	for _, t := range txt {
		if isRecord(t) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return verdict{result: None}
	case 1:
	default:
		return permError("%s has %d SPF records", domain, len(found))
	}
	if len(found[0]) > maxRecord {
		return permError("the record of %s is of no honest size", domain)
	}
	rec, err := parse(found[0])
	if err != nil {
		return permError("the record of %s: %v", domain, err)
	}
	return e.evaluate(ctx, rec, domain, depth)
}

func (e *eval) record(ctx context.Context, domain string) ([]string, error) {
	if e.questions++; e.questions > MaxQuestions {
		return nil, errQuestions
	}
	return e.res.TXT(ctx, domain)
}

func (e *eval) evaluate(ctx context.Context, rec *record, domain string, depth int) verdict {
	for _, t := range rec.terms {
		matched, end := e.match(ctx, t, domain, depth)
		if end != nil {
			return *end
		}
		if matched {
			return verdict{result: t.qualifier, term: t.text, exp: rec.exp, domain: domain}
		}
	}
	if rec.redirect == "" {
		return verdict{result: Neutral}
	}
	if err := e.countTerm(); err != nil {
		return stop(err)
	}
	target, err := e.expandDomain(ctx, rec.redirect, domain)
	if err != nil {
		return permError("redirect: %v", err)
	}
	v := e.checkHost(ctx, target, depth+1)
	if v.result == None {
		return permError("redirect to %s, which has no SPF record", target)
	}
	return v
}

func (e *eval) countTerm() error {
	if e.terms++; e.terms > MaxTerms {
		return errTerms
	}
	return nil
}

// match evaluates one directive. A verdict ends the evaluation of the record.
func (e *eval) match(ctx context.Context, t term, domain string, depth int) (bool, *verdict) {
	switch t.kind {
	case "all":
		return true, nil
	case "ip4", "ip6":
		return t.network.Contains(e.ip), nil
	}
	if err := e.countTerm(); err != nil {
		return false, ended(stop(err))
	}
	target, err := e.expandDomain(ctx, t.domain, domain)
	if err != nil {
		return false, ended(permError("%s: %v", t.text, err))
	}
	if t.kind == "include" {
		return e.include(ctx, target, depth)
	}
	var ok bool
	switch t.kind {
	case "a":
		ok, err = e.matchHost(ctx, target, t)
	case "mx":
		ok, err = e.matchMX(ctx, target, t)
		if errors.Is(err, errNames) {
			return false, ended(permError("%s has more than %d mail exchangers", target, MaxNames))
		}
	case "exists":
		ok, err = e.exists(ctx, target)
	case "ptr":
		ok = e.matchPTR(ctx, target)
	}
	if err != nil {
		return false, ended(stop(err))
	}
	return ok, nil
}

func ended(v verdict) *verdict { return &v }

func (e *eval) include(ctx context.Context, target string, depth int) (bool, *verdict) {
	v := e.checkHost(ctx, target, depth+1)
	switch v.result {
	case Pass:
		return true, nil
	case TempError:
		return false, &v
	case PermError:
		return false, &v
	case None:
		return false, ended(permError("include of %s, which has no SPF record", target))
	}
	return false, nil
}

// addrs looks up the addresses of the client's family.
func (e *eval) addrs(ctx context.Context, name string) ([]netip.Addr, error) {
	if e.ip.Is4() {
		return lookup(ctx, e, e.res.A, name)
	}
	return lookup(ctx, e, e.res.AAAA, name)
}

// lookup asks one question and keeps the counts; "there is none" is an empty answer.
func lookup[K, V any](ctx context.Context, e *eval, ask func(context.Context, K) ([]V, error), what K) ([]V, error) {
	if e.questions++; e.questions > MaxQuestions {
		return nil, errQuestions
	}
	got, err := ask(ctx, what)
	if notFound(err) {
		if e.voids++; e.voids > MaxVoid {
			return nil, errVoid
		}
		return nil, nil
	}
	return got, err
}

func (e *eval) matchHost(ctx context.Context, name string, t term) (bool, error) {
	addrs, err := e.addrs(ctx, name)
	if err != nil {
		return false, err
	}
	bits := t.cidr4
	if e.ip.Is6() {
		bits = t.cidr6
	}
	for _, a := range addrs {
		if p, err := a.Prefix(bits); err == nil && p.Contains(e.ip) {
			return true, nil
		}
	}
	return false, nil
}

var errNames = errors.New("too many names")

func (e *eval) matchMX(ctx context.Context, name string, t term) (bool, error) {
	mx, err := lookup(ctx, e, e.res.MX, name)
	if err != nil {
		return false, err
	}
	if len(mx) > MaxNames {
		return false, errNames
	}
	for _, x := range mx {
		if x.Host == "" { // the null MX of RFC 7505
			continue
		}
		if ok, err := e.matchHost(ctx, x.Host, t); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// exists asks for an A record, whatever the client's family (section 5.7).
func (e *eval) exists(ctx context.Context, name string) (bool, error) {
	addrs, err := lookup(ctx, e, e.res.A, name)
	return len(addrs) > 0, err
}

func (e *eval) matchPTR(ctx context.Context, target string) bool {
	for _, n := range e.reverseNames(ctx) {
		if within(n, target) {
			return true
		}
	}
	return false
}

// within reports whether name is domain or below it.
func within(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(strings.TrimSuffix(domain, "."))
	return name == domain || strings.HasSuffix(name, "."+domain)
}

// reverseNames are the names of the client that point back to it (section 5.5): of the
// first ten; what the DNS does not answer is left out.
func (e *eval) reverseNames(ctx context.Context) []string {
	if e.namesKnown {
		return e.names
	}
	e.namesKnown = true
	e.questions++
	names, err := e.res.PTR(ctx, e.ip)
	if err != nil {
		return nil
	}
	for _, n := range names[:min(len(names), MaxNames)] {
		if e.questions++; e.questions > MaxQuestions {
			break
		}
		ask := e.res.A
		if e.ip.Is6() {
			ask = e.res.AAAA
		}
		addrs, err := ask(ctx, n)
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if a == e.ip {
				e.names = append(e.names, n)
				break
			}
		}
	}
	return e.names
}

// validatedName is %{p}: the domain itself, else a name below it, else any, else "unknown".
func (e *eval) validatedName(ctx context.Context, domain string) string {
	best := "unknown"
	for _, n := range e.reverseNames(ctx) {
		switch {
		case strings.EqualFold(n, domain):
			return n
		case within(n, domain) && !within(best, domain), best == "unknown":
			best = n
		}
	}
	return best
}

// maxExplanation bounds what a stranger may have us repeat, in octets.
const maxExplanation = 400

// explain fetches and expands the text of an exp= modifier (section 6.2); any trouble means
// no text. Macros carry what the client said, so the result is made printable again.
func (e *eval) explain(ctx context.Context, spec, domain string) string {
	name, err := e.expandDomain(ctx, spec, domain)
	if err != nil {
		return ""
	}
	txt, err := e.res.TXT(ctx, name)
	if err != nil || len(txt) != 1 {
		return ""
	}
	text, err := e.expand(ctx, txt[0], domain, true)
	if err != nil {
		return ""
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), maxExplanation)]
}
