package auth

import (
	"context"
	"strings"

	"postern/filter"
)

// Recorded stands in for the DNS in eval: it finds what another receiver once recorded, as
// the words of RFC 8601 ("pass", "fail", ...; dkim may be followed by "d=domain"). A word
// that says no more than that nobody could tell (temperror, tempfail, timeout, empty)
// leaves the method unchecked. A recorded dmarc fail is DMARC_FAIL alone: what the domain's
// owner asked for then is not known. A dkim pass without its domain proves no address;
// only a dmarc pass does.
func Recorded(spf, dkim, dmarc string) filter.Check {
	var found []filter.Finding
	var missing []string
	for _, method := range []struct{ name, said string }{{"spf", spf}, {"dkim", dkim}, {"dmarc", dmarc}} {
		f, ok := recorded(method.name, method.said)
		if !ok {
			missing = append(missing, strings.ToUpper(method.name))
			continue
		}
		found = append(found, f)
	}
	var err error
	if len(missing) > 0 {
		err = &filter.CouldNot{Words: "no recorded result for " + strings.Join(missing, ", ")}
	}
	return filter.CheckFunc(func(context.Context, *filter.Message) ([]filter.Finding, error) {
		return append([]filter.Finding(nil), found...), err
	})
}

// recorded turns one recorded word into a finding; false = not checked.
func recorded(method, said string) (filter.Finding, bool) {
	word, rest, _ := strings.Cut(strings.ToLower(strings.TrimSpace(said)), " ")
	switch word {
	case "hardfail":
		word = "fail"
	case "permfail", "invalid", "unknown":
		word = "permerror"
	case "bestguesspass":
		word = "none"
	}
	known := map[string]string{
		"spf":   "pass fail softfail neutral none permerror",
		"dkim":  "pass fail policy neutral none permerror",
		"dmarc": "pass fail none permerror",
	}[method]
	if word == "" || !strings.Contains(" "+known+" ", " "+word+" ") {
		return filter.Finding{}, false
	}
	res := &filter.AuthResult{Method: method, Result: word}
	if d, ok := strings.CutPrefix(strings.TrimSpace(rest), "d="); ok && method == "dkim" && d != "" {
		res.Props = []filter.AuthProp{{Type: "header", Name: "d", Value: d}}
	}
	return filter.Finding{Symbol: symbol(method, word), Detail: "as recorded", Auth: res}, true
}
