package abusedesk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/connect/authpolicy"
	"postern/abuse/connect/deny"
	"postern/abuse/connect/policy"
	"postern/abuse/connect/queue"
	"postern/abuse/connect/scim"
	"postern/abuse/connect/table"
	"postern/abuse/connect/webhook"
	"postern/abuse/measure"
	"postern/internal/config"
	"postern/internal/config/desk"
)

// Connectors carry measures to the systems around the gateway, and answer their questions.
type Connectors struct {
	All []measure.Connector

	config   desk.Connectors
	accounts *abuse.Accounts
	counter  *policy.Counter
	table    *table.Table
	queue    *queue.Queue
	deny     *deny.Files
	secret   string // of Dovecot's questions
	now      func() time.Time
	log      *slog.Logger
	event    func(key, text string, over bool)
	synced   []abuse.Account
	failed   bool
}

// ConnectorParts are what connectors are built from.
type ConnectorParts struct {
	Config   *config.Config
	Accounts *abuse.Accounts
	Now      func() time.Time
	Log      *slog.Logger
	Event    func(key, text string, over bool)
}

// NewConnectors reads the secrets that the configuration names. Nothing is touched yet.
func NewConnectors(p ConnectorParts) (*Connectors, error) {
	c := &Connectors{config: p.Config.Abuse.Connectors, accounts: p.Accounts, now: p.Now, log: p.Log, event: p.Event}
	throttle := p.Config.Abuse.Measures.Throttle
	c.counter = &policy.Counter{Now: p.Now, Rates: func(account string) (int, int) {
		acc := p.Accounts.Force(account)
		return either(acc.Messages, throttle.Messages), either(acc.Recipients, throttle.Recipients)
	}}
	if m := c.config.Table; m.Map != "" {
		c.table = &table.Table{Label: "postfix", Postmap: m.Postmap, Map: m.Map, Must: m.Required}
		c.All = append(c.All, c.table)
	}
	if m := c.config.Queue; m.Config != "" {
		c.queue = &queue.Queue{
			Label: "postfix-queue", Config: m.Config, AsRoot: m.AsRoot, Senders: m.Senders, Must: m.Required,
			Path: filepath.Join(p.Config.State, "postfix-queue.json"), Accounts: p.Accounts, Now: p.Now,
		}
		c.All = append(c.All, c.queue)
	}
	if d := c.config.Deny; d.Prefix != "" {
		c.deny = &deny.Files{Label: "dovecot", Prefix: d.Prefix, Kick: d.Kick, Flush: d.Flush, Must: d.Required}
		c.All = append(c.All, c.deny)
	}
	if c.config.AuthPolicy.Addr != "" {
		var err error
		if c.secret, err = config.ReadSecret(c.config.AuthPolicy.SecretFile); err != nil {
			return nil, fmt.Errorf("abuse.connectors.dovecot_policy: %w", err)
		}
	}
	for i, w := range c.config.Webhooks {
		hook, err := c.webhook(w)
		if err != nil {
			return nil, fmt.Errorf("abuse.connectors.webhooks[%d]: %w", i, err)
		}
		c.All = append(c.All, hook)
	}
	for _, s := range c.config.SCIM {
		c.All = append(c.All, &scim.Connector{
			Label: s.Name, Base: s.URL, Must: s.Required, HTTP: webhook.Client(webhook.Dialer{Allow: allowed(s.URL, s.Networks)}),
			Token: func() (string, error) { return config.ReadSecret(s.TokenFile) },
		})
	}
	return c, nil
}

func either(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

func (c *Connectors) webhook(w desk.Webhook) (*webhook.Connector, error) {
	s := &webhook.Sender{URL: w.URL, HTTP: webhook.Client(webhook.Dialer{Allow: allowed(w.URL, w.Networks)}), Now: c.now}
	for _, path := range w.SecretFiles {
		text, err := config.ReadSecret(path)
		if err != nil {
			return nil, err
		}
		key, err := webhook.ParseSecret(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		s.Secrets = append(s.Secrets, key)
	}
	return &webhook.Connector{Label: w.Name, Sender: s, Sessions: w.Sessions, Must: w.Required}, nil
}

// allowed are the private networks a connector may reach; plain http is to this machine alone,
// which the configuration has checked.
func allowed(url string, networks []config.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, n := range networks {
		out = append(out, n.Prefix)
	}
	if strings.HasPrefix(url, "http://") {
		out = append(out, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return out
}

// Listeners are where the systems around ask us.
type Listeners struct{ policy, auth net.Listener }

// Listen opens what is configured, and says where by name.
func (c *Connectors) Listen(ctx context.Context, addrs map[string]net.Addr) (l Listeners, err error) {
	if l.policy, err = listen(ctx, c.config.PolicyService.Addr); err != nil {
		return l, fmt.Errorf("abuse.connectors.postfix_policy: %w", err)
	}
	if l.auth, err = listen(ctx, c.config.AuthPolicy.Addr); err != nil {
		l.Close()
		return l, fmt.Errorf("abuse.connectors.dovecot_policy: %w", err)
	}
	for name, one := range map[string]net.Listener{"postfix-policy": l.policy, "dovecot-policy": l.auth} {
		if one != nil {
			addrs[name] = one.Addr()
		}
	}
	return l, nil
}

// Close closes what Listen opened.
func (l Listeners) Close() {
	for _, one := range []net.Listener{l.policy, l.auth} {
		if one != nil {
			_ = one.Close()
		}
	}
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	var lc net.ListenConfig
	path, unix := strings.CutPrefix(addr, "unix:")
	if !unix {
		return lc.Listen(ctx, "tcp", addr)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // left by one that was killed
		return nil, err
	}
	l, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o666) // who may reach it is decided by its folder, which is Postfix' own
}

// Loops answer Postfix and Dovecot and keep the tables, each until its context ends.
func (c *Connectors) Loops(l Listeners, learn func(authpolicy.Login)) []func(context.Context) error {
	var loops []func(context.Context) error
	if l.policy != nil {
		d := &policy.Decider{Force: c.accounts.Force, Help: c.config.PolicyService.Help, Slow: func(_ context.Context, account, instance string) (bool, error) {
			return c.counter.Beyond(abuse.Name(account), instance), nil
		}}
		if c.queue != nil {
			d.Held, d.Unasked = c.answeredHold, c.unasked
		}
		s := &policy.Server{Decide: d.Decide, Log: c.log}
		loops = append(loops, func(ctx context.Context) error { return s.Serve(ctx, l.policy) })
	}
	if l.auth != nil {
		h := authpolicy.New(authpolicy.Options{Secret: c.secret, Force: c.accounts.Force, Learn: learn, Now: c.now, Log: c.log})
		loops = append(loops, func(ctx context.Context) error { return serveHTTP(ctx, l.auth, h) })
	}
	if c.table != nil || c.deny != nil {
		loops = append(loops, c.keep)
	}
	if c.queue != nil {
		loops = append(loops, c.keepQueue)
	}
	return loops
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// How often the tables of this machine are looked at, and written whole all the same.
const (
	keepEvery  = time.Second
	wholeEvery = 10 * time.Minute
)

// keep makes the tables beside this node follow the accounts, whoever took the measure.
func (c *Connectors) keep(ctx context.Context) error {
	tick := time.NewTicker(keepEvery)
	defer tick.Stop()
	var last time.Time
	opened := false
	for {
		if !opened {
			err := c.open(ctx)
			c.say(err)
			opened = err == nil
		}
		if opened {
			last = c.follow(ctx, last)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow writes the tables where the accounts have changed since, or the last time is long ago.
func (c *Connectors) follow(ctx context.Context, last time.Time) time.Time {
	all, now := c.inForce(), c.now()
	if !c.failed && slices.EqualFunc(all, c.synced, same) && now.Sub(last) < wholeEvery && !now.Before(last) {
		return last
	}
	err := c.sync(ctx, all)
	c.say(err)
	if err != nil {
		return last
	}
	c.synced = all
	return now
}

// inForce are the accounts as the listeners see them: while automation is off, without what no
// person asked for.
func (c *Connectors) inForce() []abuse.Account {
	var out []abuse.Account
	for _, acc := range c.accounts.Known() {
		if abuse.Scope(acc.Name) == "domain" {
			continue
		}
		if force := c.accounts.Force(acc.Name); force.Effective() >= abuse.M3 {
			acc.Level, acc.State, acc.Case = force.Level, force.State, force.Case
			out = append(out, acc)
		}
	}
	return out
}

func same(a, b abuse.Account) bool {
	return a.Name == b.Name && a.Effective() == b.Effective() && a.Case == b.Case
}

func (c *Connectors) open(ctx context.Context) error {
	var errs []error
	if c.table != nil {
		errs = append(errs, c.table.Open(ctx))
	}
	if c.deny != nil {
		errs = append(errs, c.deny.Open())
	}
	return errors.Join(errs...)
}

func (c *Connectors) sync(ctx context.Context, all []abuse.Account) error {
	var errs []error
	if c.table != nil {
		_, err := c.table.Sync(ctx, all)
		errs = append(errs, err)
	}
	if c.deny != nil {
		_, err := c.deny.Sync(ctx, all)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// say raises an alert when the tables cannot be kept, and ends it.
func (c *Connectors) say(err error) {
	if (err != nil) == c.failed {
		return
	}
	c.failed = err != nil
	text := ""
	if err != nil {
		text = "the tables of Postfix or Dovecot beside this node do not follow the accounts: " + err.Error()
	}
	c.event("connector-tables", text, err == nil)
}
