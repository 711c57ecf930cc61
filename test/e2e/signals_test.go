package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"postern/abuse/signal"
	"postern/cmd/postern/calls"
	"postern/internal/mailtest"
	"postern/internal/mailtest/mmdb"
	"postern/test/world"
)

// against is what speaks against an account, by rule.
func against(t *testing.T, g *gateway, account string) (map[string]signal.Signal, int) {
	t.Helper()
	why := runJSON[calls.AccountWhy](t, g, 0, "account", "why", "--json", account)
	out := map[string]signal.Signal{}
	for _, s := range why.Judged.Signals {
		out[s.Rule] = s
	}
	return out, why.Judged.Score
}

// Logins that a real Dovecot reports, from three countries, and a password that was guessed: both
// are parts of the compromise score. A damaged mmdb file is named and changes nothing.
func TestLoginsAreParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	country, asn := filepath.Join(dir, "country.mmdb"), filepath.Join(dir, "asn.mmdb")
	mmdb.Write(t, country, map[string]mmdb.Map{"198.18.0.0/24": mmdb.Country("GR"), "198.18.1.0/24": mmdb.Country("CY")})
	networks := map[string]mmdb.Map{}
	for i := range 8 {
		networks[fmt.Sprintf("198.18.%d.0/24", i)] = mmdb.ASN(uint32(64500 + i))
	}
	mmdb.Write(t, asn, networks)
	if err := os.WriteFile(dir+"/dovecot.key", []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	port := world.FreePort(t)
	sasl := world.StartSASL(t, "", fmt.Sprintf("127.0.0.1:%d", port), "s3cret")
	g, _ := startBefore(t, mailtest.Script{}, plan{More: fmt.Sprintf("abuse: {measures: {geo_country: %s, geo_asn: %s}, connectors: {dovecot_policy: {addr: \"127.0.0.1:%d\", secret_file: %s/dovecot.key}}}\n", country, asn, port, dir)})
	world.Await(t, "the policy server answers", 30*time.Second, func() bool {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	for i := range 5 {
		if !sasl.Login("imap", "anna@example.com", "secret", fmt.Sprintf("198.18.%d.1", i)) {
			t.Fatal("Dovecot lets nobody in")
		}
	}
	var guesses sync.WaitGroup
	for range 11 { // Dovecot takes its time to say no
		guesses.Go(func() {
			if sasl.Login("imap", "bert@example.com", "guess", "203.0.113.9") {
				t.Error("any password will do")
			}
		})
	}
	guesses.Wait()
	if !sasl.Login("imap", "bert@example.com", "secret", "203.0.113.9") {
		t.Fatal("Dovecot lets nobody in")
	}
	world.Await(t, "the networks of anna and the guess at bert", time.Minute, func() bool {
		anna, _ := against(t, g, "anna@example.com")
		bert, score := against(t, g, "bert@example.com")
		return anna["networks"].Login && anna["countries"].Rule == "" && bert["guessed"].Login && score == 20
	})

	if err := os.WriteFile(country, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := g.Run("config", "check"); code == 0 || !strings.Contains(out+errs, country) {
		t.Errorf("config check says %d: %s%s", code, out, errs)
	}
	g.Signal(syscall.SIGHUP)
	world.Await(t, "the damaged file is named", 30*time.Second, func() bool { return strings.Contains(g.Log(), country) })
	mmdb.Write(t, country, map[string]mmdb.Map{"198.18.0.0/24": mmdb.Country("GR"), "198.18.1.0/24": mmdb.Country("CY"), "198.18.2.0/24": mmdb.Country("JP")})
	g.Signal(syscall.SIGHUP)
	world.Await(t, "the file is read again", 30*time.Second, func() bool { return strings.Contains(g.Log(), `"msg":"reloaded"`) })
	for i := range 3 {
		if !sasl.Login("imap", "cleo@example.com", "secret", fmt.Sprintf("198.18.%d.9", i)) {
			t.Fatal("Dovecot lets nobody in")
		}
	}
	world.Await(t, "logins from three countries", time.Minute, func() bool {
		cleo, _ := against(t, g, "cleo@example.com")
		return cleo["countries"].Login
	})
}

// What an account sends and we refuse or hold for its content counts, though nothing of it goes
// out; so do letters to a spam trap, and what a trap itself reports.
func TestRefusedMailAndTraps(t *testing.T) {
	t.Parallel()
	g, _, _ := outgoingWith(t, "abuse: {signals: {traps: [trap@far.example, \"@trap.example\"]}}\n")
	c := dial(t, g.Addrs["submission"])
	if code, text := c.logIn("ada@example.com", "ada-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	for i := range 4 {
		raw := letterFrom("Ada <ada@example.com>", "please hold", fmt.Sprintf("letter %d", i))
		if code, text := c.transaction("ada@example.com", []string{"x@far.example"}, raw); code != 250 {
			t.Fatalf("%d %s", code, text)
		}
	}
	world.Await(t, "our own verdict counts", time.Minute, func() bool {
		all, _ := against(t, g, "ada@example.com")
		return all["verdict"].Family == signal.Verdicts && all["trap"].Rule == ""
	})
	for _, to := range []string{"trap@far.example", "anybody@TRAP.example"} {
		if code, text := c.transaction("ada@example.com", []string{"x@far.example", to}, letterFrom("Ada <ada@example.com>", "hello", "to "+to)); code != 250 {
			t.Fatalf("%d %s", code, text)
		}
	}
	world.Await(t, "the traps count", time.Minute, func() bool {
		all, score := against(t, g, "ada@example.com")
		return all["trap"].Family == signal.Traps && score >= 75
	})
	// What a measure holds is no worse for that: a held account's plain mail is no verdict.
	g.run(t, 0, "account", "hold", "--reason", "looked at", "bob@example.com")
	b := dial(t, g.Addrs["submission"])
	if code, text := b.logIn("bob@example.com", "bob-pw"); code != 235 {
		t.Fatalf("%d %s", code, text)
	}
	for i := range 4 {
		if code, text := b.transaction("bob@example.com", []string{"x@far.example"}, letterFrom("Bob <bob@example.com>", "hello", fmt.Sprint(i))); code != 250 {
			t.Fatalf("%d %s", code, text)
		}
	}
	if code, text := b.transaction("bob@example.com", []string{"trap@far.example"}, letterFrom("Bob <bob@example.com>", "hello", "to the trap")); code != 250 {
		t.Fatalf("%d %s", code, text)
	}
	world.Await(t, "the trap of bob counts", time.Minute, func() bool {
		all, _ := against(t, g, "bob@example.com")
		if all["verdict"].Rule != "" {
			t.Fatal("what the measure held counts as spam")
		}
		return all["trap"].Family == signal.Traps
	})
}
