package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"postern/filter"
	"postern/filter/auth/spf"
	"postern/internal/dns"
)

// SPF checks at OnSender whether the client may send for the domain of MAIL FROM, or for
// the name it gave at HELO when the sender is null (RFC 7208). It finds one of SPF_PASS,
// SPF_FAIL, SPF_SOFTFAIL, SPF_NEUTRAL, SPF_NONE, SPF_TEMPERROR, SPF_PERMERROR; beside a
// temperror it returns an error. Hostname is ours, for the texts of domain owners.
func SPF(res Resolver, hostname string) filter.Check {
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		req := spf.Request{IP: m.Client.IP, Sender: m.From, Helo: m.Client.Helo, Receiver: hostname}
		if !m.Time.IsZero() {
			req.Now = func() time.Time { return m.Time }
		}
		out := spf.Check(dns.WithShare(ctx, dns.SPF), res, req)
		result := &filter.AuthResult{Method: "spf", Result: string(out.Result), Reason: out.Problem}
		if m.From == "" {
			result.Props = props("smtp", "helo", m.Client.Helo)
		} else {
			result.Props = props("smtp", "mailfrom", m.From)
		}
		found := []filter.Finding{{Symbol: symbol("spf", string(out.Result)), Detail: spfDetail(m, out), Auth: result}}
		if out.Result == spf.TempError {
			return found, couldNot("the SPF record could not be looked up", out.Err)
		}
		return found, nil
	})
}

func spfDetail(m *filter.Message, out spf.Outcome) string {
	says := map[spf.Result]string{
		spf.Pass:     "%s allows %s",
		spf.Fail:     "%s does not allow %s",
		spf.SoftFail: "%s probably does not allow %s",
		spf.Neutral:  "%s says nothing about %s",
		spf.None:     "%s publishes no record that allows %s",

		spf.PermError: "%s cannot say whether it allows %s",
		spf.TempError: "%s could not be asked about %s",
	}[out.Result]
	words := "SPF: " + fmt.Sprintf(says, out.Domain, m.Client.IP)
	if out.Term != "" {
		words += " (" + out.Term + ")"
	}
	if out.Problem != "" {
		words += ": " + out.Problem
	}
	if out.Explanation != "" {
		words += "; the domain says: " + out.Explanation
	}
	return words
}

func props(kind string, pairs ...string) []filter.AuthProp {
	var out []filter.AuthProp
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out = append(out, filter.AuthProp{Type: kind, Name: pairs[i], Value: pairs[i+1]})
		}
	}
	return out
}

// couldNot says in plain words why a check could not tell. A spent budget has a word of its
// own in the ledger.
func couldNot(words string, cause error) error {
	if errors.Is(cause, dns.ErrBudget) {
		words += " (DNS_BUDGET)"
	}
	return &filter.CouldNot{Words: words, Cause: cause}
}
