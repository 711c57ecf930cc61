// Package rig puts the real gateway between a load client and a server behind, with rules
// that hold and refuse some of the load, and balances the book afterwards.
package rig

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"postern/cmd/postern/calls"
	"postern/cmd/postern/gateway"
	"postern/internal/control"
	"postern/internal/mailtest"
	"postern/internal/mailtest/ledger"
	"postern/internal/relay/outbox"
	"postern/quarantine"
	"postern/test/world"
)

// Those who get mail. The first three are under the policy "default", the lax ones under one
// that delivers what default holds or refuses; the last does not exist.
const (
	Ada    = "ada@example.com"
	Bob    = "bob@example.com"
	Cleo   = "cleo@example.com"
	Lax    = "lax@example.com"
	Lazy   = "lazy@example.com"
	Nobody = "nobody@example.com"
)

// From is the sender of the load; its SPF record allows loopback.
const From = "load@sender.example"

// Mailboxes are those that exist behind.
func Mailboxes() []string { return []string{Ada, Bob, Cleo, Lax, Lazy} }

// Options shape a rig.
type Options struct {
	Listeners string       // further ones, "- {...}" a line
	Behind    string       // address of the server behind
	Clamd     string       // endpoint; "" = no scanner
	State     string       // "" = a folder beside the configuration
	Hostname  string       // "" = mx1.example.com
	In        *world.Netns // where the gateway runs; nil = here
	YAML      string       // further top-level lines of postern.yaml
	Limits    string       // further limits: "message: 1MB, "
	Knobs     string       // further keys of clamav: "timeout: 5s, "
}

// Rig is a gateway on a port of its own, which it keeps over restarts.
type Rig struct {
	*world.Gateway
	Addr     string
	State    string
	Internet *mailtest.DNS
	Book     *ledger.Ledger
	t        testing.TB
}

const ruleFile = `patterns:
  - {id: LOAD_HELD, describe: A message of the load to be held, in: subject, match: 'of the load, dots', score: 8, tests: {hit: ["x of the load, dots"], miss: ["dots"]}}
  - {id: LOAD_REFUSED, describe: A message of the load to be refused, in: subject, match: 'of the load, long lines', score: 20, tests: {hit: ["x of the load, long lines"], miss: ["long lines"]}}
policies:
  lax: {extends: default, greylist: off, tag: 60, quarantine: 70, reject: 80, antivirus: {scan: true, infected: quarantine}}
recipients:
  "*": default
  lax@example.com: lax
  lazy@example.com: lax
`

// New prepares a gateway; Start starts it.
func New(t testing.TB, o Options) *Rig {
	t.Helper()
	r := &Rig{t: t, Book: ledger.New(), State: o.State}
	r.Internet = mailtest.NewDNS(t, mailtest.Zone{
		"sender.example":                  {"MX 10 load.example", "TXT v=spf1 ip4:127.0.0.1 ip4:10.0.0.0/8 -all"},
		"load.example":                    {"A 127.0.0.1"},
		mailtest.ReverseName("127.0.0.1"): {"PTR load.example"},
	})
	here, there := "127.0.0.1", func(addr string) string { return addr }
	if o.In != nil {
		here, there = o.In.Inside, o.In.There
	}
	r.Addr = here + ":" + strconv.Itoa(world.FreePort(t))
	state := o.State
	if state == "" {
		state = "DIR/state"
	}
	clamd := ""
	if o.Clamd != "" {
		clamd = fmt.Sprintf("clamav: {%saddrs: [%q]}\n", o.Knobs, o.Clamd)
	}
	r.Gateway = world.NewGateway(t, fmt.Sprintf(`hostname: %s
state: %s
listeners:
- {name: mx, kind: inbound, addr: %q}
%s
limits: {%sper_ip: 500, per_64: 500}
backends: {mail: [{addr: %q, tls: none}]}
routes: {example.com: {backend: mail, recipients: verify}}
dns: {servers: [%q]}
rules: {dir: DIR/rules.d}
admin: {addr: "%s:0"}
%s%s`, cmp.Or(o.Hostname, "mx1.example.com"), state, r.Addr, o.Listeners, o.Limits, there(o.Behind), there(r.Internet.Addr()), here, clamd, o.YAML))
	if o.In != nil {
		r.Wrap = o.In.Wrap()
	}
	r.WriteFile("rules.d/load.yaml", ruleFile)
	if o.State == "" {
		r.State = filepath.Join(r.Dir, "state")
	}
	return r
}

// Load is a load for this rig: mixed messages to everybody, tried until they are answered.
func (r *Rig) Load(seed uint64, messages int) ledger.Load {
	return ledger.Load{
		Addr: r.Addr, From: From, Recipients: append(Mailboxes(), Nobody), Messages: messages, Parallel: 50,
		PerConn: 10, MaxSize: 50 << 10, Seed: seed, Tries: 10000, Pause: 200 * time.Millisecond, Ledger: r.Book,
	}
}

// Harmless makes messages of a load that nothing but a fault can refuse.
func Harmless(seed uint64, maxSize int) func(n int) ledger.Message {
	kinds := []int{0, 1, 2, 4, 5, 6, 7} // 3 is the kind that the rules refuse
	return func(n int) ledger.Message {
		return ledger.Make(seed, n/len(kinds)*8+kinds[n%len(kinds)], From, Mailboxes(), maxSize)
	}
}

// Infected makes every n-th message of a load an infected one.
func Infected(seed uint64, every, maxSize int) func(n int) ledger.Message {
	return func(n int) ledger.Message {
		m := ledger.Make(seed, n, From, append(Mailboxes(), Nobody), maxSize)
		if n%every != every-1 {
			return m
		}
		head := m.Body[:bytes.Index(m.Body, []byte("MIME-Version"))]
		return m.With(append(bytes.Clone(head), append([]byte("\r\n"), append(mailtest.EICAR(), "\r\n"...)...)...))
	}
}

// Behind is a scripted server that writes what it takes into the book.
func (r *Rig) Behind(s mailtest.Script) mailtest.Script {
	s.Done = func(tx mailtest.Transaction) {
		if tx.Complete {
			r.Book.Arrived(tx.To, tx.Body)
		}
	}
	return s
}

// Collect writes what Postfix delivered into the book.
func (r *Rig) Collect(p *world.Postfix) {
	r.t.Helper()
	p.Drained(2 * time.Minute)
	for _, box := range Mailboxes() {
		for _, body := range p.Mails(box) {
			r.Book.Arrived([]string{box}, body)
		}
	}
}

// Call makes a call over the control socket.
func (r *Rig) Call(name string, params, result any) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := control.Dial(ctx, filepath.Join(r.State, gateway.Socket))
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(ctx, name, params, result); err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
}

// Holds lists everything held; evidence copies are beside whatever was done, and left out.
func (r *Rig) Holds() []quarantine.Hold {
	r.t.Helper()
	var all []quarantine.Hold
	for after := ""; ; {
		var page quarantine.Page
		r.Call("quarantine.list", calls.Search{Limit: 1000, After: after}, &page)
		for _, h := range page.Holds {
			if h.Class != quarantine.Evidence {
				all = append(all, h)
			}
		}
		if after = page.Next; after == "" {
			return all
		}
	}
}

// Kept is what the gateway holds or still owes.
func (r *Rig) Kept() []ledger.Copy {
	r.t.Helper()
	var all []ledger.Copy
	for _, h := range r.Holds() {
		for _, to := range h.To {
			all = append(all, ledger.Copy{SHA256: h.SHA256, Recipient: to})
		}
	}
	var owed []outbox.Entry
	r.Call("outbox.list", calls.Paging{Limit: 1000}, &owed)
	for _, e := range owed {
		for _, to := range e.To {
			all = append(all, ledger.Copy{SHA256: e.SHA256, Recipient: to.Address})
		}
	}
	return all
}

// Greeting waits for the 220 of the listener.
func (r *Rig) Greeting(within time.Duration) bool {
	for end := time.Now().Add(within); time.Now().Before(end); {
		c, err := net.DialTimeout("tcp", r.Addr, time.Second)
		if err != nil {
			<-time.After(2 * time.Millisecond)
			continue
		}
		_ = c.SetReadDeadline(time.Now().Add(within))
		b := make([]byte, 4)
		n, _ := c.Read(b)
		c.Close()
		if strings.HasPrefix(string(b[:n]), "220") {
			return true
		}
	}
	return false
}
