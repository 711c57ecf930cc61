package auth

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"postern/filter"
	"postern/filter/auth/arc"
	"postern/filter/auth/authres"
	"postern/filter/auth/dmarc"
	"postern/internal/canon"
)

// Trust says whose word about others counts.
type Trust struct {
	// Sealers are the ARC sealers, as d= of their seals, that are believed about a domain of
	// authors and all domains below it; "*" stands for any author. A sealer is never
	// believed about a domain that it is not named for.
	Sealers map[string][]string
}

// about are the sealers that are believed about an author domain.
func (t Trust) about(author string) map[string]bool {
	out := map[string]bool{}
	for domain, sealers := range t.Sealers {
		name, ok := dmarc.Name(domain)
		if domain != "*" && (!ok || author != name && !strings.HasSuffix(author, "."+name)) {
			continue
		}
		for _, s := range sealers {
			if name, ok := dmarc.Name(s); ok {
				out[name] = true
			}
		}
	}
	return out
}

// vouched says what the first of the sealers that are believed saw of the author, or "".
// The newest sets down to it must all be theirs: what a stranger put on top of a chain is
// only his word, and what stands below it is only what they saw.
func (c *messageCheck) vouched(ctx context.Context, sets []arc.Set, author string) string {
	believed := c.trust.about(author)
	first := len(sets)
	for first > 0 && believed[sets[first-1].Sealer] {
		first--
	}
	if first == len(sets) || !sets[len(sets)-1].SignsFrom {
		return ""
	}
	field, err := authres.Parse(sets[first].Results)
	if err != nil {
		return ""
	}
	saw := c.saw(ctx, field.Results, author)
	if saw == "" {
		return ""
	}
	words := sets[first].Sealer + " saw " + saw
	for _, s := range sets[first+1:] {
		words += ", then " + s.Sealer
	}
	return words
}

// maxSeen bounds the identifiers that are taken from the word of a sealer.
const maxSeen = 10

// saw is the proof of an author that stands among results: DMARC itself, or what would be
// its proof. A fail of DMARC for that author is the end of it.
func (c *messageCheck) saw(ctx context.Context, results []filter.AuthResult, author string) string {
	var ids []dmarc.Identifier
	passed := false
	for _, r := range results {
		var domain string
		switch r.Method {
		case "dmarc":
			from, _ := dmarc.Name(r.Prop("header", "from"))
			if from == author && r.Result == "fail" {
				return ""
			}
			passed = passed || from == author && r.Result == "pass"
			continue
		case "dkim":
			if domain = r.Prop("header", "d"); domain == "" {
				domain = r.Prop("header", "i")
			}
		case "spf":
			if domain = r.Prop("smtp", "mailfrom"); domain == "" {
				domain = r.Prop("smtp", "helo")
			}
		}
		if domain != "" && r.Result == "pass" && len(ids) < maxSeen {
			ids = append(ids, dmarc.Identifier{DKIM: r.Method == "dkim", Domain: domain[strings.LastIndexByte(domain, '@')+1:]})
		}
	}
	if passed {
		return "dmarc=pass of " + author
	}
	id, ok := c.walker.Aligned(ctx, author, ids)
	switch {
	case !ok:
		return ""
	case id.DKIM:
		return "dkim=pass of " + id.Domain
	}
	return "spf=pass of " + id.Domain
}

// isSealed reports whether a header holds a field of ARC.
func isSealed(all func(name string) []string) bool {
	return slices.ContainsFunc([]string{canon.ArcSeal, canon.ArcMessage, canon.ArcResults}, func(name string) bool {
		return len(all(name)) > 0
	})
}

// chain reports what came of a chain (RFC 8617 section 5.2), and whether somebody that is
// believed speaks for the author.
func (c *messageCheck) chain(chain arc.Chain, vouched string) {
	result := &filter.AuthResult{Method: "arc", Result: string(chain.Result), Reason: chain.Reason}
	detail := "ARC: " + chain.Reason
	if chain.Result == arc.Pass {
		result.Props = props("header", "oldest-pass", strconv.Itoa(chain.OldestPass))
		var sealers []string
		for _, s := range chain.Sets {
			sealers = append(sealers, s.Sealer)
		}
		detail = "ARC: sealed by " + strings.Join(sealers[max(0, len(sealers)-5):], ", ")
	}
	c.found = append(c.found, filter.Finding{Symbol: symbol("arc", string(chain.Result)), Detail: detail, Auth: result})
	if chain.Result == arc.Pass && vouched != "" {
		c.found = append(c.found, filter.Finding{Symbol: "ARC_TRUSTED", Detail: vouched, Auth: result})
	}
}
