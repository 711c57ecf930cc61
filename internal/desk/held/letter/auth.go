package letter

import (
	"regexp"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Proof is what one way of proving a sender gave.
type Proof struct {
	Method string // SPF, DKIM, DMARC, ARC
	Result string // pass, fail, none, ...
	Domain string // whose proof it is; "" when unknown
	Align  string // same | kin | other: how that domain stands to the author's; "" when it does not matter
}

// Said is a symbol of the verdict with what stands beside it.
type Said struct{ Symbol, Detail string }

var (
	results = regexp.MustCompile(`^(SPF|DKIM|DMARC|ARC)_(PASS|FAIL|SOFTFAIL|NEUTRAL|NONE|PERMERROR|TEMPERROR|POLICY)$`)
	domains = map[string]*regexp.Regexp{
		"SPF":   regexp.MustCompile(`SPF: ([^\s]+) `),
		"DKIM":  regexp.MustCompile(`DKIM: signed by ([^\s(,;]+)`),
		"DMARC": regexp.MustCompile(`DMARC: ([^\s]+) (?:is proven|publishes)`),
		"ARC":   regexp.MustCompile(`ARC: sealed by (.+)`),
	}
)

// maxProofs bounds what is drawn.
const maxProofs = 20

// Proofs are what the verdict says of the sender, for the author's domain.
func Proofs(said []Said, author string) []Proof {
	var out []Proof
	for _, method := range []string{"SPF", "DKIM", "DMARC", "ARC"} {
		for _, s := range said {
			m := results.FindStringSubmatch(s.Symbol)
			if m == nil || m[1] != method || len(out) == maxProofs {
				continue
			}
			p := Proof{Method: method, Result: strings.ToLower(m[2])}
			if d := domains[method].FindStringSubmatch(s.Detail); d != nil && d[1] != "nobody" {
				p.Domain = Printable(Clip(d[1], 253))
			}
			if method == "DMARC" && p.Domain == "" {
				p.Domain = author
			}
			if method == "SPF" || method == "DKIM" {
				p.Align = align(p.Domain, author)
			}
			out = append(out, p)
		}
	}
	return out
}

// align says how a domain stands to the author's.
func align(domain, author string) string {
	domain, author = strings.ToLower(domain), strings.ToLower(author)
	if domain == "" || author == "" {
		return ""
	}
	if domain == author {
		return "same"
	}
	a, errA := publicsuffix.EffectiveTLDPlusOne(domain)
	b, errB := publicsuffix.EffectiveTLDPlusOne(author)
	if errA == nil && errB == nil && a == b {
		return "kin"
	}
	return "other"
}
