package intake

import (
	"context"
	"slices"
	"strings"

	"postern/abuse/complaint"
	"postern/abuse/intake/shelf"
	"postern/abuse/proof"
	"postern/filter"
	"postern/internal/entity"
	"postern/internal/mime"
)

// A known reporter has had this many complaints found right, and at most a tenth wrong.
const (
	knownRight = 5
	judgedMost = 1000 // judgements that are counted
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

// known is a proved address, T2 when its reports were right before.
func (d *Desk) known(ctx context.Context, address string) (proof.Reporter, error) {
	who := proof.Reporter{Trust: proof.T1, Address: address}
	right, err := d.judged(ctx, "right", address)
	if err != nil || right < knownRight {
		return who, err
	}
	wrong, err := d.judged(ctx, "wrong", address)
	if err == nil && wrong*10 <= right+wrong {
		who.Trust = proof.T2
	}
	return who, err
}

func (d *Desk) judged(ctx context.Context, how, address string) (int, error) {
	return shelf.Works(d.Home).Count(ctx, entity.Query{Index: "judged", Value: how + " " + shelf.Value(address)}, judgedMost)
}

// Judge notes what people found: was the report right? It is how reporters become known.
func (d *Desk) Judge(ctx context.Context, report string, right bool) error {
	_, err := shelf.Works(d.Home).Change(ctx, report, func(w *Work) error {
		how := "wrong"
		if right {
			how = "right"
		}
		if w.Judged == how {
			return entity.ErrUnchanged
		}
		w.Judged = how
		return nil
	})
	return err
}
