package dkimcmd_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/cmd/postern/dkimcmd"
	"postern/cmd/postern/gateway"
	"postern/internal/control"
	"postern/internal/dns"
	"postern/internal/mailtest"
	"postern/internal/record"
	"postern/internal/stamp/keys"
)

// trail is an audit trail in memory.
type trail struct {
	record.AuditStore
	rows []string
}

func (r *trail) Append(_ context.Context, e record.Entry) (record.Entry, error) {
	if strings.Contains(string(e.Before)+string(e.After), "PRIVATE") {
		return e, errors.New("a private key in the audit trail")
	}
	r.rows = append(r.rows, e.Action+" "+e.Object)
	return e, nil
}

// desk is a running server with the calls about keys, and a DNS.
type desk struct {
	t      *testing.T
	config string
	state  string
	dns    *mailtest.DNS
	trail  *trail
	now    time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	dir := t.TempDir()
	d := &desk{t: t, config: filepath.Join(dir, "postern.yaml"), state: filepath.Join(dir, "state"), dns: mailtest.NewDNS(t, mailtest.Zone{}), trail: &trail{}, now: time.Now()}
	if err := os.MkdirAll(d.state, 0o700); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("hostname: mx1.example.com\nstate: %s\nlisteners:\n  - {name: mx, addr: '127.0.0.1:0', kind: inbound}\nbackends:\n  mail: [{addr: '127.0.0.1:1'}]\nroutes:\n  example.com: {backend: mail}\n", d.state)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return d.now }
	store, err := keys.Open(filepath.Join(d.state, "dkim"), clock)
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := dns.New(dns.Config{Servers: []string{d.dns.Addr()}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer()
	calls.DKIM{Keys: store, DNS: resolver, Audit: &record.Auditor{Store: d.trail, Now: clock}}.Handle(server)
	l, err := control.Listen(t.Context(), filepath.Join(d.state, gateway.Socket))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		resolver.Close()
	})
	return d
}

// run calls a command and holds its exit code against want.
func (d *desk) run(want int, args ...string) string {
	d.t.Helper()
	var cli struct {
		DKIM dkimcmd.DKIM `cmd:"" name:"dkim"`
	}
	var out bytes.Buffer
	k, err := kong.New(&cli, kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		d.t.Fatal(err)
	}
	code := app.Fine
	kctx, err := k.Parse(append([]string{"dkim"}, args...))
	if err != nil {
		code = app.Usage
	} else {
		a := &app.App{Ctx: d.t.Context(), Stdout: &out, Stderr: &out, Now: func() time.Time { return d.now }, Config: d.config, Command: kctx.Command()}
		if err = kctx.Run(a); err != nil {
			code = app.Fault
			var e *app.Exit
			if errors.As(err, &e) {
				code = e.Code
			}
		}
	}
	if code != want {
		d.t.Fatalf("dkim %s: exit %d, want %d: %v\n%s", strings.Join(args, " "), code, want, err, out.String())
	}
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	return out.String()
}

func runJSON[T any](d *desk, want int, args ...string) T {
	d.t.Helper()
	var v T
	out := d.run(want, append(args, "--json")...)
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&v); err != nil { // an error line may follow
		d.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return v
}

func (d *desk) publish(all ...calls.DKIMKey) {
	d.t.Helper()
	for _, k := range all {
		if err := d.dns.Set(k.Record.Name, "TXT "+k.Record.Text); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *desk) has(out string, words ...string) {
	d.t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			d.t.Errorf("%q is not in\n%s", w, out)
		}
	}
}

func TestFromTheFirstKeyToTheSecond(t *testing.T) {
	d := newDesk(t)
	d.has(d.run(0, "add", "Example.com", "--selector", "S1"), "Key s1 of example.com (rsa, 2048 bits) is pending", `s1._domainkey.example.com. IN TXT (`, `"v=DKIM1; k=rsa; p=`, "postern dkim dns example.com")
	list := runJSON[calls.DKIMList](d, 0, "list")
	if len(list.Keys) != 1 || list.Keys[0].State != keys.Pending || list.Faults == nil || !list.Keys[0].Removable {
		t.Fatalf("%+v", list)
	}
	d.has(d.run(1, "dns", "example.com"), "pending: NOT SEEN: there is no record at s1._domainkey.example.com", "1 of the records are not in the DNS")
	d.has(d.run(0, "dns", "example.com", "--offline"), "not looked for", "s1._domainkey.example.com. IN TXT")
	d.publish(list.Keys...) // seen at once, though it was just asked for in vain
	d.has(d.run(0, "dns", "example.com"), "active: in the DNS", "s1 was pending and is active now")

	d.now = d.now.Add(time.Hour)
	next := runJSON[[]calls.DKIMKey](d, 0, "rotate", "example.com")
	if len(next) != 1 || next[0].State != keys.Pending {
		t.Fatalf("%+v", next)
	}
	d.has(d.run(0, "rotate", "example.com", "--note", "again"), next[0].Selector+" will sign for example.com once", "Leave the old record", next[0].Record.Strings[1])
	seen := runJSON[calls.DKIMSeen](d, 1, "dns", "example.com")
	if len(seen.Answers) != 2 || !seen.Answers[0].Published || seen.Answers[1].Published || len(seen.Changes) != 0 {
		t.Fatalf("%+v", seen)
	}
	d.publish(next...)
	seen = runJSON[calls.DKIMSeen](d, 0, "dns", "example.com")
	if len(seen.Changes) != 2 || seen.Answers[0].Key.State != keys.Retired || seen.Answers[1].Key.State != keys.Active {
		t.Fatalf("%+v", seen)
	}
	d.has(d.run(0, "list"), "DOMAIN", "s1", "retired", "its record must stay until", "active")
	if err := d.dns.Set("s1._domainkey.example.com"); err != nil {
		t.Fatal(err)
	}
	d.has(d.run(1, "dns", "example.com"), "retired: NOT SEEN")
	d.has(d.run(1, "remove", "example.com", "s1"), "can be removed from")
	d.now = d.now.Add(keys.KeepRetired)
	d.run(0, "dns", "example.com") // after that time nobody misses it
	d.has(d.run(0, "list"), "can be removed")
	d.has(d.run(0, "remove", "example.com", "s1", "--note", "old"), "removed: s1._domainkey.example.com")
	d.has(d.run(0, "retire", "example.com", next[0].Selector), "signs no more for example.com")

	name := next[0].Record.Name
	want := "dkim-add s1._domainkey.example.com, dkim-active s1._domainkey.example.com, dkim-rotate " + name +
		", dkim-retired s1._domainkey.example.com, dkim-active " + name + ", dkim-remove s1._domainkey.example.com, dkim-retired " + name
	if got := strings.Join(d.trail.rows, ", "); got != want {
		t.Errorf("audited are\n%s, want\n%s", got, want)
	}
}

func TestKeyFromAFile(t *testing.T) {
	d := newDesk(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "old.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	d.has(d.run(2, "add", "example.com", "--key", path), "--key needs --selector")
	d.has(d.run(2, "add", "example.com", "--key", path, "--selector", "old", "--alg", "ed25519"), path+": it holds an rsa key of 2048 bits")
	if k := runJSON[calls.DKIMKey](d, 0, "add", "example.com", "--key", path, "--selector", "old"); k.Selector != "old" || k.Bits != 2048 {
		t.Errorf("%+v", k)
	}
	if err := os.WriteFile(path, text[:200], 0o600); err != nil {
		t.Fatal(err)
	}
	d.has(d.run(2, "add", "other.example", "--key", path, "--selector", "old"), path+": there is no PEM block in it")
	if err := os.Truncate(path, 65<<10); err != nil {
		t.Fatal(err)
	}
	d.has(d.run(2, "add", "other.example", "--key", path, "--selector", "old"), "so it is no private key")
	d.run(3, "add", "other.example", "--key", path+".gone", "--selector", "old")
}

func TestWordsAndExits(t *testing.T) {
	d := newDesk(t)
	d.has(d.run(0, "add", "example.com", "--alg", "ed25519"), "ed25519, 256 bits", "Many receivers know RSA alone")
	d.has(d.run(0, "add", "example.com", "--bits", "4096", "--selector", "big"), "in 3 strings of at most 255")
	d.has(d.run(1, "add", "example.com"), "big waiting for its record")
	d.has(d.run(2, "add", "example.com", "--bits", "1024"), "2048 to 4096 are taken")
	d.has(d.run(2, "add", "nowhere"), `"nowhere" is no domain`)
	d.run(2, "add", "example.com", "--alg", "dsa")
	d.has(d.run(1, "dns", "other.example"), "other.example has no DKIM key")
	d.has(d.run(1, "rotate", "example.com"), "no active key to rotate")
	d.has(d.run(1, "retire", "example.com", "big"), "only an active key retires")
	d.has(d.run(1, "remove", "example.com", "none"), "no key with selector")
	d.has(d.run(0, "remove", "example.com", "big"), "removed")
	d.dns.SetSilent(true)
	d.has(d.run(3, "dns", "example.com"), "the DNS did not answer")
	if err := os.WriteFile(filepath.Join(d.state, "dkim", "example.com", "keys.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.has(d.run(0, "list"), "cannot be read: ", "example.com/keys.json")
	d.run(3, "rotate", "example.com")
}
