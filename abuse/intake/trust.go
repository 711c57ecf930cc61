package intake

import (
	"context"
	"slices"
	"strings"

	"postern/abuse/complaint"
	"postern/abuse/intake/verdict"
	"postern/abuse/proof"
	"postern/filter"
	"postern/internal/mime"
)

// authOf is what the checks said of a report's own mail.
func authOf(r filter.Report) Auth {
	var a Auth
	for _, f := range r.Findings {
		if f.Auth == nil {
			continue
		}
		switch f.Auth.Method {
		case "spf":
			a.SPF = f.Auth.Result
		case "dmarc":
			a.DMARC, a.Author = f.Auth.Result, strings.ToLower(f.Auth.Prop("header", "from"))
		case "dkim":
			if d := strings.ToLower(f.Auth.Prop("header", "d")); f.Auth.Result == "pass" && d != "" && !slices.Contains(a.DKIM, d) && len(a.DKIM) < 20 {
				a.DKIM = append(a.DKIM, d)
			}
		}
	}
	return a
}

// who says how far the reporter of r is believed (RFC 6449 section 4.4, RFC 9477 section 3.5).
func (d *Desk) who(ctx context.Context, r Report, rep complaint.Report, tree *mime.Tree) (proof.Reporter, error) {
	feed, err := d.Feeds.Of(ctx, r)
	if err != nil {
		return proof.Reporter{}, err
	}
	author := ""
	if tree != nil {
		if from := tree.From(); len(from) == 1 {
			author = strings.ToLower(from[0].Address)
		}
	}
	switch {
	case feed != nil:
		return proof.Reporter{Trust: proof.T3, Address: author, Feed: feed.Name, Observing: feed.Observing()}, nil
	case rep.Format == complaint.CFBL && !r.Auth.SignedBy(domainOf(author)):
		return proof.Reporter{}, nil // such feedback is never worked on by itself
	case r.Account != "":
		return d.known(ctx, r.Account)
	case r.Auth.DMARC == "pass" && author != "" && domainOf(author) == r.Auth.Author:
		return d.known(ctx, author)
	}
	return proof.Reporter{}, nil
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

// known is a proved address, believed as far as what people found of its reports before.
func (d *Desk) known(ctx context.Context, address string) (proof.Reporter, error) {
	trust, err := verdict.Book{Store: d.Home}.Trust(ctx, address)
	return proof.Reporter{Trust: trust, Address: address}, err
}
