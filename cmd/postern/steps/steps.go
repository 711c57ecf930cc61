// Package steps is the visible list of checks and what each is built from.
package steps

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"postern/filter"
	"postern/internal/config"
	"postern/internal/dns"
	"postern/rules"
)

// The names of the steps, as ledger, header and metrics show them.
const (
	StepReverse  = "reverse"
	StepHelo     = "helo"
	StepSPF      = "spf"
	StepSender   = "sender"
	StepAuth     = "dkim+dmarc"
	StepLists    = "lists"
	StepDomains  = "domain-lists"
	StepLinks    = "links"
	StepOwn      = "own-lists"
	StepHistory  = "history"
	StepGreylist = "greylist"
	StepSenders  = "senders"
	StepAccount  = "account"
	StepOptedOut = "opted-out"
	StepLimits   = "limits"
	StepHeader   = "header"
	StepTargets  = "link-targets"
	StepShape    = "shape"
	StepPage     = "page"
	StepAttach   = "attachments"
	StepClamAV   = "clamav"
	StepPatterns = "patterns"
	StepLearned  = "learned"
	StepBounce   = "bounces"
	StepLetters  = "campaigns"
)

// Names are all of them, for metrics.
func Names() []string {
	return []string{
		StepReverse, StepHelo, StepSPF, StepSender, StepAuth, StepLists, StepDomains, StepLinks,
		StepOwn, StepHistory, StepGreylist, StepSenders, StepAccount, StepOptedOut, StepLimits, StepHeader, StepTargets, StepShape, StepPage, StepAttach, StepClamAV, StepPatterns, StepLearned, StepBounce, StepLetters,
	}
}

// Checks are the checks behind the steps; a nil one is left out of the list.
type Checks struct {
	Reverse, Helo, SPF, Sender, Auth     filter.Check
	Lists, DomainLists, Links            filter.Check
	OwnRecipient, OwnContent             filter.Check
	History, Greylist                    filter.Check
	AccountSender, AccountContent        filter.Check
	Account, LimitSender, LimitRecipient filter.Check
	LimitAccount, AccountHeld            filter.Check
	OptedOut, OptedOutLate               filter.Check
	Header, Targets, Shape, Page         filter.Check
	Attach, ClamAV                       filter.Check
	Bounce                               filter.Check
	Learned, Letters                     filter.Check

	// Taken reports whether a recipient takes mail whatever is in it: what only such recipients
	// get is not looked through for anything that would decide nothing. nil: none does.
	Taken func(filter.Recipient) bool
}

// Pipeline is the visible list: what runs at which stage, and what happens when it cannot
// tell. Inbound checks look at the client; an authenticated or local sender has none.
func Pipeline(c Checks, set *rules.Set, cfg *config.Config, log *slog.Logger) *filter.Pipeline {
	const in, any = true, false
	var steps []filter.Step
	add := func(name string, stage filter.Stage, check filter.Check, inboundOnly bool, onError filter.Action, timeout time.Duration) {
		if check == nil {
			return
		}
		if inboundOnly {
			check = inbound{check}
		}
		steps = append(steps, filter.Step{Name: name, Stage: stage, Check: check, Timeout: timeout, OnError: onError})
	}
	content := func(check filter.Check) filter.Check {
		if check == nil || c.Taken == nil {
			return check
		}
		return judged{check, c.Taken}
	}
	dnsTime := time.Duration(cfg.DNS.Budget)
	scan, _ := filter.ParseAction(cfg.ClamAV.OnError)

	add(StepReverse, filter.OnConnect, c.Reverse, in, filter.Accept, dnsTime)
	add(StepLists, filter.OnConnect, c.Lists, in, filter.Accept, dnsTime)
	add(StepHelo, filter.OnSender, c.Helo, in, filter.Accept, dnsTime)
	add(StepSPF, filter.OnSender, c.SPF, in, filter.Accept, dnsTime)
	add(StepSender, filter.OnSender, c.Sender, in, filter.Accept, dnsTime)
	add(StepDomains, filter.OnSender, c.DomainLists, in, filter.Accept, dnsTime)
	add(StepAccount, filter.OnSender, c.Account, any, filter.Defer, time.Second)
	add(StepSenders, filter.OnSender, c.AccountSender, any, filter.Defer, time.Second)
	add(StepLimits, filter.OnSender, c.LimitSender, any, filter.Accept, time.Second)
	add(StepOwn, filter.OnRecipient, c.OwnRecipient, in, filter.Defer, time.Second)
	add(StepOptedOut, filter.OnRecipient, c.OptedOut, any, filter.Accept, time.Second)
	add(StepLimits, filter.OnRecipient, c.LimitRecipient, any, filter.Accept, time.Second)
	add(StepAuth, filter.OnData, c.Auth, in, filter.Accept, dnsTime)
	add(StepLinks, filter.OnData, content(c.Links), in, filter.Accept, dnsTime)
	add(StepOwn, filter.OnData, c.OwnContent, in, filter.Accept, dnsTime)
	add(StepHistory, filter.OnData, content(c.History), in, filter.Accept, dnsTime)
	add(StepBounce, filter.OnData, c.Bounce, in, filter.Accept, 2*time.Second)
	add(StepGreylist, filter.OnData, content(c.Greylist), in, filter.Accept, dnsTime)
	add(StepSenders, filter.OnData, c.AccountContent, any, filter.Defer, 5*time.Second)
	add(StepAccount, filter.OnData, c.AccountHeld, any, filter.Defer, time.Second)
	add(StepOptedOut, filter.OnData, c.OptedOutLate, any, filter.Accept, time.Second)
	add(StepLimits, filter.OnData, c.LimitAccount, any, filter.Accept, time.Second)
	add(StepHeader, filter.OnData, content(c.Header), any, filter.Accept, 2*time.Second)
	add(StepTargets, filter.OnData, content(c.Targets), in, filter.Accept, 2*time.Second)
	add(StepShape, filter.OnData, content(c.Shape), in, filter.Accept, 2*time.Second)
	add(StepPage, filter.OnData, content(c.Page), in, filter.Accept, 2*time.Second)
	add(StepAttach, filter.OnData, content(listed(c.Attach, set)), any, filter.Quarantine, 20*time.Second)
	add(StepClamAV, filter.OnData, content(c.ClamAV), any, scan, time.Duration(cfg.ClamAV.Timeout))
	add(StepPatterns, filter.OnData, content(set.Patterns()), any, filter.Accept, 10*time.Second)
	add(StepLearned, filter.OnData, content(c.Learned), in, filter.Accept, 5*time.Second)
	add(StepLetters, filter.OnData, content(c.Letters), in, filter.Accept, dnsTime)

	return &filter.Pipeline{
		Steps: steps, Judge: set, Budget: 45 * time.Second, Log: log,
		Lookups: func() *dns.Budget { return dns.NewBudget(cfg.DNS.Queries, dnsTime) },
	}
}

// inbound runs a check only for mail from outside.
type inbound struct{ check filter.Check }

func (c inbound) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if m.Direction != filter.Inbound {
		return nil, nil
	}
	return c.check.Check(ctx, m)
}

// listed leaves out the types of files that no policy names: they would decide nothing.
func listed(check filter.Check, set *rules.Set) filter.Check {
	if check == nil {
		return nil
	}
	return filter.CheckFunc(func(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
		found, err := check.Check(ctx, m)
		return slices.DeleteFunc(found, func(f filter.Finding) bool { return f.Symbol == rules.FileType && !set.Lists(f.Types) }), err
	})
}

// judged runs a check only for mail that somebody gets by what the rules say of it.
type judged struct {
	check filter.Check
	taken func(filter.Recipient) bool
}

func (c judged) Check(ctx context.Context, m *filter.Message) ([]filter.Finding, error) {
	if untold(m, c.taken) {
		return nil, nil
	}
	return c.check.Check(ctx, m)
}

// untold reports whether all of a message's recipients take it whatever is in it.
func untold(m *filter.Message, taken func(filter.Recipient) bool) bool {
	return len(m.To) > 0 && !slices.ContainsFunc(m.To, func(to filter.Recipient) bool { return !taken(to) })
}

// Judged is an observer that sees only mail that somebody gets by what the rules say of it.
func Judged(o filter.Observer, taken func(filter.Recipient) bool) filter.Observer {
	return judgedBy{o, taken}
}

type judgedBy struct {
	observer filter.Observer
	taken    func(filter.Recipient) bool
}

// Done implements filter.Observer.
func (j judgedBy) Done(ctx context.Context, m *filter.Message, o filter.Outcome) error {
	if untold(m, j.taken) {
		return nil
	}
	return j.observer.Done(ctx, m, o)
}
