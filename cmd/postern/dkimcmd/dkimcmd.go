// Package dkimcmd is the command line over DKIM keys.
package dkimcmd

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"postern/cmd/postern/app"
	"postern/cmd/postern/calls"
	"postern/internal/stamp/keys"
)

// DKIM are the commands over the keys that sign what goes out.
type DKIM struct {
	Add    addCmd    `cmd:"" help:"Make a key for a domain, or bring one in. It signs once its record is in the DNS."`
	List   listCmd   `cmd:"" help:"List all keys."`
	DNS    dnsCmd    `cmd:"" name:"dns" help:"Print the records of a domain's keys, and check that the DNS has them."`
	Rotate rotateCmd `cmd:"" help:"Make a successor for each key of a domain; it takes over once its record is in the DNS."`
	Retire retireCmd `cmd:"" help:"Make a key sign no more."`
	Remove removeCmd `cmd:"" help:"Forget a key that never signed, or that retired 180 days ago."`
}

type addCmd struct {
	Domain   string `arg:"" help:"The domain that is signed for."`
	Selector string `help:"Selector; made of the date by default."`
	Alg      string `enum:"rsa,ed25519," default:"" help:"rsa (the default) or ed25519."`
	Bits     int    `help:"Bits of an RSA key, 2048 (the default) to 4096."`
	Key      string `type:"path" help:"A private key from elsewhere, PEM in PKCS#1 or PKCS#8, without a password."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// keyFileMax bounds the file of a private key, in bytes.
const keyFileMax = 64 << 10

// Run adds a key.
func (c *addCmd) Run(a *app.App) error {
	p := calls.DKIMNew{Domain: c.Domain, Selector: c.Selector, Algorithm: c.Alg, Bits: c.Bits, From: c.Key}
	if c.Key != "" {
		if c.Selector == "" {
			return app.Usagef("--key needs --selector: the name under which the key's record stands in the DNS")
		}
		text, err := readKey(c.Key)
		if err != nil {
			return err
		}
		p.PEM = text
	}
	return app.Call(a, "dkim.add", p, c.JSON, func(k calls.DKIMKey) {
		fmt.Fprintf(a.Stdout, "Key %s of %s (%s, %d bits) is pending: it signs once this record is in the DNS.\n\n", k.Selector, k.Domain, k.Algorithm, k.Bits)
		printRecord(a.Stdout, k)
		fmt.Fprintf(a.Stdout, "\nThen run: postern dkim dns %s (a running server looks every hour by itself).\n", k.Domain)
	})
}

func readKey(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, keyFileMax+1))
	if err == nil && len(text) > keyFileMax {
		err = app.Usagef("%s: larger than %d bytes, so it is no private key", path, keyFileMax)
	}
	return text, err
}

// printRecord prints a record and what is to be known about it.
func printRecord(w io.Writer, k calls.DKIMKey) {
	fmt.Fprintln(w, k.Record.Zone)
	if n := len(k.Record.Strings); n > 2 {
		fmt.Fprintf(w, "\nThe record has %d octets in %d strings of at most 255. Some DNS panels take one string alone:\nuse 2048 bits with them.\n", len(k.Record.Text), n)
	}
	if k.Algorithm == keys.Ed25519 {
		fmt.Fprintln(w, "\nMany receivers know RSA alone: let an RSA key sign beside this one.")
	}
}

type listCmd struct {
	JSON bool `name:"json" help:"Print JSON."`
}

// Run lists the keys.
func (c *listCmd) Run(a *app.App) error {
	return app.Call(a, "dkim.list", struct{}{}, c.JSON, func(l calls.DKIMList) {
		w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "DOMAIN\tSELECTOR\tALGORITHM\tSTATE\tSINCE")
		for _, k := range l.Keys {
			fmt.Fprintf(w, "%s\t%s\t%s %d\t%s\t%s\n", k.Domain, k.Selector, k.Algorithm, k.Bits, k.State, since(k))
		}
		_ = w.Flush()
		for _, f := range l.Faults {
			fmt.Fprintln(a.Stderr, "cannot be read:", app.Clean(f))
		}
	})
}

// since is when a key came into its state.
func since(k calls.DKIMKey) string {
	switch k.State {
	case keys.Active:
		return k.Activated.Local().Format(time.DateTime)
	case keys.Retired:
		text := k.Ended.Local().Format(time.DateTime)
		if k.Removable {
			return text + " (can be removed)"
		}
		return text + " (its record must stay until " + k.Ended.Add(keys.KeepRetired).Local().Format(time.DateOnly) + ")"
	}
	return k.Created.Local().Format(time.DateTime)
}

type dnsCmd struct {
	Domain  string `arg:"" help:"The domain."`
	Offline bool   `help:"Print the records only; do not ask the DNS."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run prints the records and tells whether the DNS has them; one that is missing is a
// finding, a DNS that does not answer a fault.
func (c *dnsCmd) Run(a *app.App) error {
	wrong, unknown := 0, 0
	err := app.Call(a, "dkim.dns", calls.DKIMName{Domain: c.Domain, Offline: c.Offline}, false, func(s calls.DKIMSeen) {
		for _, x := range s.Answers {
			switch {
			case c.Offline || x.Published || x.Key.Removable(a.Now()) && x.Key.State == keys.Retired:
			case x.Unknown:
				unknown++
			default:
				wrong++
			}
		}
		if c.JSON {
			_ = a.JSON(s)
			return
		}
		c.print(a.Stdout, s)
	})
	switch {
	case err != nil:
		return err
	case wrong > 0:
		return app.Findf("%d of the records are not in the DNS as they must be", wrong)
	case unknown > 0:
		return fmt.Errorf("the DNS did not answer for %d records", unknown)
	}
	return nil
}

func (c *dnsCmd) print(w io.Writer, s calls.DKIMSeen) {
	for _, x := range s.Answers {
		word := "in the DNS"
		switch {
		case c.Offline:
			word = "not looked for"
		case !x.Published:
			word = "NOT SEEN: " + app.Clean(x.Problem)
		}
		fmt.Fprintf(w, "; %s, %s %d bits, %s: %s\n%s\n\n", x.Key.Selector, x.Key.Algorithm, x.Key.Bits, x.Key.State, word, x.Record.Zone)
	}
	for _, ch := range s.Changes {
		fmt.Fprintf(w, "%s was %s and is %s now\n", ch.After.Selector, ch.Before.State, ch.After.State)
	}
}

type rotateCmd struct {
	Domain string `arg:"" help:"The domain."`
	Note   string `help:"Why."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run makes successors.
func (c *rotateCmd) Run(a *app.App) error {
	return app.Call(a, "dkim.rotate", calls.DKIMName{Domain: c.Domain, Note: c.Note}, c.JSON, func(all []calls.DKIMKey) {
		names := make([]string, len(all))
		for i, k := range all {
			names[i] = k.Selector
		}
		fmt.Fprintf(a.Stdout, "%s will sign for %s once this is in the DNS; until then the key before goes on.\nLeave the old record where it is.\n\n", strings.Join(names, " and "), c.Domain)
		for _, k := range all {
			printRecord(a.Stdout, k)
		}
		fmt.Fprintf(a.Stdout, "\nThen run: postern dkim dns %s (a running server looks every hour by itself).\n", c.Domain)
	})
}

type retireCmd struct {
	Domain   string `arg:"" help:"The domain."`
	Selector string `arg:"" help:"Selector of the key."`
	Note     string `help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run retires a key.
func (c *retireCmd) Run(a *app.App) error {
	return app.Call(a, "dkim.retire", calls.DKIMName{Domain: c.Domain, Selector: c.Selector, Note: c.Note}, c.JSON, func(s calls.DKIMSeen) {
		for _, ch := range s.Changes {
			fmt.Fprintf(a.Stdout, "%s signs no more for %s; leave its record in the DNS until %s\n", ch.After.Selector, ch.After.Domain, ch.After.Ended.Add(keys.KeepRetired).Local().Format(time.DateOnly))
		}
	})
}

type removeCmd struct {
	Domain   string `arg:"" help:"The domain."`
	Selector string `arg:"" help:"Selector of the key."`
	Note     string `help:"Why."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Run forgets a key.
func (c *removeCmd) Run(a *app.App) error {
	return app.Call(a, "dkim.remove", calls.DKIMName{Domain: c.Domain, Selector: c.Selector, Note: c.Note}, c.JSON, func(k calls.DKIMKey) {
		fmt.Fprintf(a.Stdout, "removed: %s\n", k.Record.Name)
	})
}
