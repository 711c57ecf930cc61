package golden_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"postern/abuse"
	"postern/abuse/complaint/dsn"
	"postern/abuse/suppress"
	"postern/blocklist"
	"postern/cmd/postern/setup"
	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/filter/account"
	"postern/filter/attach"
	"postern/filter/auth"
	"postern/filter/bounce"
	"postern/filter/greylist"
	"postern/filter/header"
	"postern/filter/history"
	"postern/filter/limit"
	"postern/filter/link"
	"postern/filter/link/qr"
	"postern/filter/page"
	"postern/filter/sender"
	"postern/filter/shape"
	"postern/internal/config"
	"postern/internal/mailtest"
	"postern/internal/mailtest/entities"
)

// The names of the listeners.
const (
	inboundListener = "mx"
	accountListener = "submission"
)

// TestTheVisibleListIsWhole wants every check of a running node in the golden world.
func TestTheVisibleListIsWhole(t *testing.T) {
	w := newWorld(t, mailtest.Case{Mail: []byte("\r\n"), Circumstances: mailtest.Circumstances{Greylist: true}}, newKit(t))
	checks := w.checks
	checks.LimitSender, checks.LimitRecipient, checks.LimitAccount = w.limits.Sender(), w.limits.Recipient(), w.limits.Account()
	v := reflect.ValueOf(checks)
	for i := range v.NumField() {
		if v.Field(i).IsNil() {
			t.Errorf("no golden mail meets the check %s", v.Type().Field(i).Name)
		}
	}
}

// build makes the checks of a node from the circumstances.
func (w *world) build(ctx context.Context) {
	c := w.c
	lists, own := w.lists(ctx)
	proof := auth.Once(auth.Message(w.resolver, w.now, func() auth.Trust { return auth.Trust{Sealers: c.Sealers} }))
	w.history = history.New(history.Parts{Store: &marks{}, Results: proof.Check, Now: w.now, Forwarders: w.forwarders()})
	w.greylist = greylist.NewGreylist(setup.Greylist(config.Default()), greylist.Parts{Store: &waiting{}, Results: proof.Check, Now: w.now, Elapsed: w.elapsed})
	w.limits = limit.New(w.rates(), w.now)
	accounts := w.accounts(ctx)
	senders := w.senders()
	optedOut := w.optedOut(ctx)
	w.checks = steps.Checks{
		Taken:   func(filter.Recipient) bool { return false }, // no abuse desk is in this world
		Reverse: sender.ReverseName(w.resolver), Helo: sender.Helo(w.resolver, ours), Sender: sender.Domain(w.resolver),
		SPF: auth.SPF(w.resolver, "mx.example.com"), Auth: proof,
		Lists: lists.Client(), DomainLists: lists.Sender(), Links: lists.Links(hosted),
		OwnRecipient: own.Recipient(), OwnContent: own.Content(proof.Check),
		History: w.history,
		Account: accounts, AccountHeld: accounts.Content(), AccountSender: senders.Sender(), AccountContent: senders.Content(),
		OptedOut: optedOut.Recipient(), OptedOutLate: optedOut.Content(),
		Targets: targets(),
		Shape:   shape.Check{},
		Page:    page.Check{},
		Header:  header.New(header.Us{Host: "mx1.example.com", Domains: []string{"example.com"}, People: []string{"Ada Lovelace"}}),
		Attach:  &attach.Check{}, ClamAV: w.scan(), Bounce: &bounce.Check{Sent: sentLog(c.Sent)},
		Learned: w.learned(ctx),
	}
	w.checks.Letters, w.letters = w.campaigns(ctx, proof)
	if c.Greylist { // everything is new to a world without a past
		w.checks.Greylist = w.greylist
	}
}

// sentLog knows by Message-ID what was sent; nothing comes back by token here.
type sentLog []string

// About implements bounce.Sent.
func (l sentLog) About(_ context.Context, m *filter.Message) (bounce.Answer, string, error) {
	tree, err := m.Parts()
	if err != nil {
		return bounce.Other, "", nil //nolint:nilerr // what cannot be read is no report
	}
	report, ok := dsn.Read(tree)
	_, id, found := strings.Cut(string(report.Original), "Message-ID: <")
	if !ok || !found {
		return bounce.Other, "", nil
	}
	id, _, _ = strings.Cut(id, ">")
	if slices.Contains(l, id) {
		return bounce.Ours, "", nil
	}
	return bounce.Foreign, "the send log has no message " + id, nil
}

// Complete implements bounce.Sent.
func (l sentLog) Complete(context.Context, *filter.Message) error { return nil }

// ours are the names that no stranger may give at HELO, hosted the domains we take mail for.
func ours(name string) bool   { return name == "mx.example.com" || hosted(name) }
func hosted(name string) bool { return name == "example.com" }

func (w *world) lists(ctx context.Context) (*blocklist.Lists, *blocklist.Own) {
	var configs []blocklist.ListConfig
	for i, l := range w.c.Lists {
		configs = append(configs, blocklist.ListConfig{Name: "list" + strconv.Itoa(i), Zone: l.Zone, Of: blocklist.Kind(l.Of), Codes: l.Codes})
	}
	lists, err := blocklist.NewLists(configs, blocklist.ListParts{Resolver: w.resolver, Now: w.now, Log: quiet(), Seed: "golden"})
	if err != nil {
		w.t.Fatal(err)
	}
	lists.Test(ctx)
	var entries []blocklist.Entry
	for _, v := range w.c.Block {
		entries = append(entries, blocklist.Entry{Value: v, Scope: blocklist.All, Reason: "golden", Author: "golden"})
	}
	for _, v := range w.c.Allow {
		entries = append(entries, blocklist.Entry{Allow: true, Value: v, Scope: blocklist.All, Reason: "golden", Author: "golden"})
	}
	own := blocklist.NewOwn(blocklist.OwnParts{Store: ownStore(entries), Now: w.now, Log: quiet()})
	if err := own.Load(ctx); err != nil {
		w.t.Fatal(err)
	}
	return lists, own
}

func (w *world) forwarders() []history.Forwarder {
	var out []history.Forwarder
	for _, f := range w.c.Forwarders {
		one := history.Forwarder{Name: f.Name, Hosts: f.Hosts, For: f.For}
		for _, n := range f.Networks {
			prefix, err := netip.ParsePrefix(n)
			if err != nil {
				w.t.Fatal(err)
			}
			one.Networks = append(one.Networks, prefix)
		}
		out = append(out, one)
	}
	return out
}

func (w *world) senders() *account.Senders {
	s, err := account.New(account.Config{
		Listeners: map[string]account.Listener{accountListener: {Mode: account.Mode(w.c.Senders)}},
		Home:      "example.org", Hosted: hosted, Allow: w.c.Grants,
	}, account.Parts{Now: w.now, Log: quiet()})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) rates() limit.Config {
	of := func(name string) limit.Rate { return limit.Rate{Minute: w.c.Rates[name]} }
	return limit.Config{
		IP: of("ip"), Net: of("net"), Domain: of("domain"), Account: of("account"), AccountRecipients: of("account_recipients"),
		Recipient: of("recipient"), BadRecipient: of("bad_recipient"), Errors: of("errors"),
	}
}

// used lets earlier messages of the same sender use up the limits, and what he was refused.
func (w *world) used(ctx context.Context, m *filter.Message) {
	ends := func(id string, reply string, state filter.FateState) {
		earlier := *m
		earlier.ID = id
		for _, check := range []filter.Check{w.limits.Sender(), w.limits.Recipient()} {
			if _, err := check.Check(ctx, &earlier); err != nil {
				w.t.Fatal(err)
			}
		}
		outcome := filter.Outcome{Reply: reply}
		for _, to := range earlier.To {
			outcome.Fates = append(outcome.Fates, filter.Fate{Recipient: to.Address, State: state, Reply: reply})
		}
		if err := w.limits.Done(ctx, &earlier, outcome); err != nil {
			w.t.Fatal(err)
		}
	}
	for i := range 2 {
		ends("earlier"+strconv.Itoa(i), "250 2.0.0 ok", filter.Delivered)
	}
	for i := range w.c.Unknown {
		ends("unknown"+strconv.Itoa(i), "550 5.1.1 nobody has this name", filter.Rejected)
	}
	for range w.c.Refusals {
		w.limits.Refused(m.Client.IP)
	}
}

func (w *world) accounts(ctx context.Context) *abuse.Accounts {
	store := accountStore{}
	for _, name := range w.c.Suspended {
		store[name] = abuse.Account{Name: name, State: abuse.Suspended, Reason: "golden", Version: 1}
	}
	for name, level := range w.c.Measures {
		store[name] = abuse.Account{Name: name, State: abuse.Active, Level: abuse.Level(level), Measure: "m-golden", Version: 1}
	}
	a, err := abuse.NewAccounts(ctx, store, w.now, quiet(), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.limits.Throttle(func(account string) (out []limit.Throttle) {
		for _, acc := range a.Throttles(account) {
			out = append(out, limit.Throttle{
				Name:     acc.Name,
				Messages: limit.Rate{Minute: w.c.Rates["throttle"]}, Recipients: limit.Rate{Minute: w.c.Rates["throttle_recipients"]},
			})
		}
		return out
	})
	return a
}

// optedOut are those who want no mail of an account.
func (w *world) optedOut(ctx context.Context) *suppress.Book {
	b := &suppress.Book{Store: &entities.Memory{}, Now: w.now, Log: quiet(), Audit: func(context.Context, string, string, string, any, any, string) error { return nil }}
	for account, recipient := range w.c.OptedOut {
		if _, err := b.Add(ctx, suppress.Entry{Account: account, Recipient: recipient, By: "golden"}); err != nil {
			w.t.Fatal(err)
		}
	}
	return b
}

// scan is clamd as far as the case says what it finds.
func (w *world) scan() filter.Check {
	if len(w.c.Virus) == 0 {
		return w.scanner
	}
	clamd := mailtest.StartClamd(w.t, "unix")
	for text, name := range w.c.Virus {
		if bytes.Contains(w.c.Mail, []byte(text)) {
			clamd.Mail(mailtest.ClamdAnswer{Reply: "stream: " + name + " FOUND\x00"})
		}
	}
	return scanner(w.t, clamd)
}

// targets are the checks of links, with those in the codes of pictures.
func targets() *link.Check {
	c := link.New([]string{"example.com"})
	c.Pictures = patient{qr.New([]string{os.Args[0], qr.Hidden}, slog.New(slog.DiscardHandler))}
	return c
}

// patient asks again where a machine that stands still kept a helper from its picture.
type patient struct{ pool *qr.Pool }

// Read implements link.Pictures.
func (p patient) Read(ctx context.Context, picture []byte) (texts []string, err error) {
	for range 20 {
		if texts, err = p.pool.Read(context.WithoutCancel(ctx), picture); err == nil {
			break
		}
	}
	return texts, err
}

// TestMain is a helper where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == qr.Hidden {
		qr.Serve(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}
