package greylist

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"postern/filter"
	"postern/internal/address"
)

// Bounds of what one message leaves behind.
const (
	maxDomains    = 3       // proven domains
	maxRecipients = 8       // recipients a try is recognised by
	hashed        = 1 << 20 // bytes of the body
)

// pools names where a message comes from, the strongest first: domains that SPF or DKIM
// prove, whatever the address; the network; the domain of the confirmed reverse name unless
// that spells the address. Of those, source are what may be remembered.
func pools(m *filter.Message, found []filter.Finding) (all, source []string) {
	generic := false
	for _, f := range found {
		generic = generic || f.Symbol == "PTR_GENERIC"
		if f.Auth == nil || f.Auth.Result != "pass" {
			continue
		}
		for _, p := range f.Auth.Props {
			spf := f.Auth.Method == "spf" && p.Type == "smtp" && (p.Name == "mailfrom" || p.Name == "helo")
			dkim := f.Auth.Method == "dkim" && p.Type == "header" && p.Name == "d"
			if d := organization(p.Value[strings.LastIndexByte(p.Value, '@')+1:]); (spf || dkim) && d != "" {
				all = append(all, "domain "+d)
			}
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	all = all[:min(len(all), maxDomains)]
	proven := len(all)
	if n := network(m.Client.IP); n != "" {
		all = append(all, "network "+n)
	}
	if d := organization(m.Client.Name); d != "" && !generic {
		all = append(all, "hosts of "+d)
	}
	if proven > 0 {
		return all, all[:proven]
	}
	return all, all
}

// organization is the registrable domain of a name in lower-case A-labels.
func organization(name string) string {
	name, err := address.ToASCII(strings.TrimSuffix(name, "."))
	if err != nil || name == "" || !address.ValidDomain(name) {
		return ""
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	if org, err := publicsuffix.EffectiveTLDPlusOne(name); err == nil {
		return org
	}
	return name
}

// network is the /24 or /64 of an address.
func network(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	bits := 24
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// sender is the domain of MAIL FROM; for the null sender the domain of the HELO name.
func sender(m *filter.Message) string {
	if m.From != "" {
		d := m.FromDomain()
		if a, err := address.ToASCII(d); err == nil {
			return a
		}
		return d
	}
	return "<> " + organization(m.Client.Helo)
}

func key(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// sourceKeys are the keys a source is remembered under; one let in by hand is known whatever
// the sender.
func sourceKeys(pools []string, from string) []string {
	var keys []string
	for _, p := range pools {
		keys = append(keys, key("source", p, from))
	}
	return keys
}

// lookFor are the keys a source is looked for by.
func lookFor(pools []string, from string) []string {
	return append(sourceKeys(pools, from), anySender(pools)...)
}

func anySender(pools []string) []string { return sourceKeys(pools, "*") }

// tryKeys are what another try is recognised by: a pool, the sender's domain, a recipient,
// and the body; or in its place the subject, since some senders write the body anew each
// time. Without a common recipient one text sent to many would count as coming again. An
// empty body is nothing to go by.
func tryKeys(m *filter.Message, pools []string, to []string) ([]string, error) {
	body, err := bodyHash(m.Open())
	if err != nil {
		return nil, err
	}
	marks := []string{"subject " + subject(m)}
	if body != "" {
		marks = append(marks, "body "+body)
	}
	from := sender(m)
	var keys []string
	for _, p := range pools {
		for _, r := range to {
			for _, mark := range marks {
				keys = append(keys, key("try", p, from, r, mark))
			}
		}
	}
	return keys, nil
}

// recipients are those a try is recognised by, in an order that does not depend on the client.
func recipients(to []filter.Recipient) []string {
	var all []string
	for _, r := range to {
		all = append(all, address.Normalize(r.Address))
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxRecipients)]
}

func subject(m *filter.Message) string {
	if m.Parts == nil {
		return ""
	}
	tree, err := m.Parts()
	if err != nil || tree == nil || tree.Root == nil {
		return ""
	}
	return strings.Join(strings.Fields(tree.Subject()), " ")
}

// bodyHash is the SHA-256 of what follows the header, without trailing blank lines: a retry
// may carry new header fields. Of a large message the first MiB counts. An empty body is "".
func bodyHash(r *io.SectionReader) (string, error) {
	raw := make([]byte, min(r.Size(), hashed))
	if _, err := io.ReadFull(r, raw); err != nil {
		return "", err
	}
	_, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if rest, none := bytes.CutPrefix(raw, []byte("\r\n")); none { // no header at all
		body, ok = rest, true
	}
	body = bytes.TrimRight(body, "\r\n")
	if !ok || len(body) == 0 {
		return "", nil
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:16]), nil
}
