// Package checks builds the checks of a running node, with what they remember and who writes
// it down after the answer.
package checks

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync/atomic"
	"time"

	"postern/abuse"
	"postern/abuse/external"
	"postern/abuse/suppress"
	"postern/blocklist"
	"postern/cmd/postern/campaigns"
	"postern/cmd/postern/glue"
	"postern/cmd/postern/home"
	"postern/cmd/postern/learning"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/sources"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/filter/account"
	"postern/filter/attach"
	"postern/filter/auth"
	"postern/filter/clamav"
	"postern/filter/greylist"
	"postern/filter/header"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/filter/link"
	"postern/filter/page"
	"postern/filter/sender"
	"postern/filter/shape"
	"postern/internal/config"
	"postern/internal/control"
	"postern/internal/dns"
	"postern/internal/record"
)

// Parts are what the checks are built from.
type Parts struct {
	Config   *atomic.Pointer[config.Config]
	Home     *home.Home
	Resolver *dns.Resolver
	Scanner  *clamav.Scanner // nil: nothing is scanned
	Audit    *record.Auditor
	Key      []byte                            // a secret, the same after a restart
	Event    func(key, text string, over bool) // raises an alert, or says that it is over
	Self     string                            // the program that reads pictures; "" = none are read
	Now      func() time.Time
	Log      *slog.Logger
}

// Checks are the checks that keep a state of their own.
type Checks struct {
	parts    Parts
	Lists    *blocklist.Lists
	Own      *blocklist.Own
	Accounts *abuse.Accounts
	Limits   *limit.Limiter
	History  *history.History
	Greylist *greylist.Greylist
	Senders  *account.Senders
	Header   *header.Check
	Targets  *link.Check          // of links
	Sources  *external.Observer   // who is watched among those elsewhere
	OptedOut *suppress.Book       // who wants no mail of an account
	Learning *learning.Learning   // what people call spam and good
	Letters  *campaigns.Campaigns // and what they say of campaigns

	proof filter.Check // of the author; runs once for all steps that want it
}

// New builds the checks and reads their state. Nothing runs yet.
func New(ctx context.Context, p Parts) (*Checks, error) {
	c := &Checks{parts: p, Sources: &external.Observer{}, Limits: limit.New(setup.Rates(p.Config.Load()), p.Now)}
	c.OptedOut = &suppress.Book{Store: p.Home.Entities, Now: p.Now, Log: p.Log, Audit: p.Audit.Write}
	var err error
	c.Lists, err = blocklist.NewLists(setup.ListConfigs(p.Config.Load()), blocklist.ListParts{
		Resolver: p.Resolver, Now: p.Now, Log: p.Log, Seed: fmt.Sprintf("%x", sha256.Sum256(append([]byte("links "), p.Key...))),
		Alert: func(e blocklist.Event) { p.Event("list:"+e.Key, e.Text, e.Over) },
	})
	if err != nil {
		return nil, err
	}
	c.Own = blocklist.NewOwn(blocklist.OwnParts{Store: p.Home.Lists, Now: p.Now, Log: p.Log})
	if err := c.Own.Load(ctx); err != nil {
		return nil, err
	}
	// Several steps need it: what speaks for a mail counts only where the sender is proved.
	c.proof = auth.Once(auth.Message(p.Resolver, p.Now, c.trust))
	cfg := p.Config.Load()
	c.History = history.New(history.Parts{Store: p.Home.History, Results: c.proof.Check, Now: p.Now, Forwarders: setup.Forwarders(cfg)})
	us := setup.Us(cfg)
	c.Header, c.Targets = header.New(us), link.New(us.Domains)
	c.Targets.Pictures = setup.Pictures(cfg, p.Self, p.Log)
	c.Greylist = greylist.NewGreylist(setup.Greylist(cfg), greylist.Parts{Store: p.Home.Greylist, Results: c.proof.Check, Now: p.Now})
	c.Learning, err = learning.New(learning.Parts{Config: p.Config, Records: p.Home.Entities, Counts: p.Home.Bayes, Home: p.Home.Name, Key: p.Key, Audit: p.Audit.Write, Event: p.Event, Now: p.Now, Log: p.Log})
	if err != nil {
		return nil, err
	}
	c.Letters = campaigns.New(ctx, campaigns.Parts{Config: p.Config, Store: p.Home.Letters, Records: p.Home.Entities, Results: c.proof.Check, Audit: p.Audit.Write, Event: p.Event, Now: p.Now, Log: p.Log})
	senders := account.Parts{Now: p.Now, Log: p.Log, Alert: func(text string, over bool) { p.Event("senders", text, over) }}
	if c.Senders, err = account.New(setup.Senders(cfg, c.hosted, homeDomain(cfg)), senders); err != nil {
		return nil, err
	}
	c.Accounts, err = abuse.NewAccounts(ctx, p.Home.Accounts, p.Now, p.Log, func(ctx context.Context, ch abuse.Change) error {
		return p.Audit.Write(ctx, ch.Actor, ch.Action, ch.After.Name, ch.Before, ch.After, ch.After.Reason)
	})
	if err != nil {
		return nil, err
	}
	c.Accounts.SetHome(homeDomain(cfg))
	c.Limits.Throttle(c.throttles)
	return c, nil
}

// throttles are the rates of accounts under M1.
func (c *Checks) throttles(account string) (out []limit.Throttle) {
	t := c.parts.Config.Load().Abuse.Measures.Throttle
	for _, acc := range c.Accounts.Throttles(account) {
		out = append(out, limit.Throttle{
			Name:     acc.Name,
			Messages: limit.Rate{Hour: orElse(acc.Messages, t.Messages)}, Recipients: limit.Rate{Hour: orElse(acc.Recipients, t.Recipients)},
		})
	}
	return out
}

func orElse(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// Steps are the checks for the visible list.
func (c *Checks) Steps() steps.Checks {
	cfg, res := c.parts.Config.Load(), c.parts.Resolver
	out := steps.Checks{
		Reverse: sender.ReverseName(res),
		Helo:    sender.Helo(res, c.ourName),
		Sender:  sender.Domain(res),
		SPF:     auth.SPF(res, cfg.Hostname),
		Auth:    c.proof,

		Lists:       c.Lists.Client(),
		DomainLists: c.Lists.Sender(),
		Links:       c.Lists.Links(c.hosted),

		OwnRecipient: sources.Watch(c.Sources, c.Own.Recipient()),
		OwnContent:   sources.WatchSigned(c.Sources, c.Own.Content(c.proof.Check), c.proof.Check),

		History:  c.History,
		Greylist: c.Greylist,
		Learned:  c.Learning.Check(),
		Letters:  c.Letters.Check(),

		Account:        c.Accounts,
		AccountHeld:    c.Accounts.Content(),
		OptedOut:       c.OptedOut.Recipient(),
		OptedOutLate:   c.OptedOut.Content(),
		AccountSender:  c.Senders.Sender(),
		AccountContent: c.Senders.Content(),
		LimitSender:    c.Limits.Sender(),
		LimitRecipient: c.Limits.Recipient(),
		LimitAccount:   c.Limits.Account(),

		Header:  c.Header,
		Targets: c.Targets,
		Shape:   shape.Check{},
		Page:    page.Check{},
		Attach:  &attach.Check{Limits: setup.ArchiveLimits(cfg.ClamAV)},
	}
	if c.parts.Scanner != nil {
		out.ClamAV = c.parts.Scanner
	}
	return out
}

// Observers write down what the checks read, after the answer. From mail that all its recipients
// take whatever is in it nothing is learnt of its sender.
func (c *Checks) Observers(taken func(filter.Recipient) bool) []filter.Observer {
	refused := account.AuditRefused(c.parts.Now, func(ctx context.Context, who, address, kind string) error {
		return c.parts.Audit.Write(ctx, "postern", "sender-refused", who, nil, address, kind)
	})
	return []filter.Observer{c.Limits, steps.Judged(c.History, taken), steps.Judged(c.Greylist, taken), steps.Judged(c.Learning.Observer(), taken), steps.Judged(c.Letters.Observer(), taken), refused}
}

// Loops are what runs on its own clock, by name.
func (c *Checks) Loops() map[string]func(context.Context) error {
	loops := map[string]func(context.Context) error{
		"dns lists": c.Lists.Run,
		"own lists": c.Own.Run,
		"accounts":  c.Accounts.Run,
		"history":   c.prune,
		"learning":  c.Learning.Run,
	}
	maps.Copy(loops, c.Letters.Loops())
	if shared := c.parts.Home.Limits; shared != nil {
		loops["limits"] = func(ctx context.Context) error { return c.Limits.Share(ctx, shared, shareEvery) }
	}
	return loops
}

// Handle adds the calls about what people say of mail.
func (c *Checks) Handle(s *control.Server, held learning.Held) {
	c.Learning.Handle(s, held)
	c.Letters.Handle(s, held)
}

// Reported is told of a message that one of our people handed in as spam, and of which it is proved
// that it came in here.
func (c *Checks) Reported(ctx context.Context, reporter, report string, original []byte) {
	c.Learning.Reported(ctx, reporter, report, original)
	c.Letters.Reported(ctx, reporter, report, original)
}

// shareEvery is how often nodes tell each other what they counted.
const shareEvery = 250 * time.Millisecond

// prune drops what history keeps no longer, once an hour.
func (c *Checks) prune(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if _, err := c.parts.Home.History.Prune(ctx, c.parts.Now()); err != nil && ctx.Err() == nil {
			c.parts.Log.Error("dropping old history", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Reload takes what of the configuration can change while mail flows. The error is that of
// the file of senders; then nothing has changed.
func (c *Checks) Reload(cfg *config.Config) error {
	if err := c.Senders.Reload(setup.Senders(cfg, c.hosted, homeDomain(cfg))); err != nil {
		return err
	}
	c.Accounts.SetHome(homeDomain(cfg))
	c.Limits.Reload(setup.Rates(cfg))
	c.History.Reload(setup.Forwarders(cfg))
	c.Greylist.Reload(setup.Greylist(cfg))
	us := setup.Us(cfg)
	c.Header.Reload(us)
	c.Targets.Reload(us.Domains)
	return nil
}

// homeDomain is the domain of logins without one: where there is but one, it is no guess.
func homeDomain(cfg *config.Config) string {
	only := ""
	for domain := range cfg.Routes {
		if strings.HasPrefix(domain, "*.") {
			continue
		}
		if only != "" {
			return ""
		}
		only = domain
	}
	return only
}

// hosted reports the domains we take mail for.
func (c *Checks) hosted(domain string) bool {
	_, ok := glue.RouteFor(c.parts.Config.Load(), domain)
	return ok
}

// trust is whose seals are believed now.
func (c *Checks) trust() auth.Trust {
	return auth.Trust{Sealers: c.parts.Config.Load().Auth.TrustedSealers}
}

// ourName reports names that no stranger may give at HELO.
func (c *Checks) ourName(name string) bool {
	cfg := c.parts.Config.Load()
	if strings.EqualFold(name, cfg.Hostname) {
		return true
	}
	_, ok := cfg.Routes[name]
	return ok
}
