package golden_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// The prefixes of made cases: mail handed on with evidence, without any, forged mail, forged
// mail that evidence speaks for, and what can happen to a chain of seals.
const (
	viaPrefix      = "via-"
	strangerPrefix = "stranger-"
	spoofPrefix    = "spoof-"
	doubtPrefix    = "doubt-"
	chainPrefix    = "chain-"
)

// written is when the letters were written.
var written = time.Date(2026, 11, 22, 10, 58, 3, 0, time.UTC)

// host sends mail: its own, or that of others.
type host struct {
	name, ip string
	domain   string // whose SPF record names it
	key      string // of s=post under domain, "" = none
	policy   string // of the domain's DMARC record, "" = none
}

func (h host) zone(t testing.TB) mailtest.Zone {
	z := mailtest.Zone{
		h.name:                     {"A " + h.ip},
		h.domain:                   {"A " + h.ip, "MX 10 " + h.name, "TXT v=spf1 ip4:" + h.ip + " -all"},
		mailtest.ReverseName(h.ip): {"PTR " + h.name},
	}
	if h.key != "" {
		z["post._domainkey."+h.domain] = []string{record(t, h.key)}
	}
	if h.policy != "" {
		z["_dmarc."+h.domain] = []string{"TXT v=DMARC1; p=" + h.policy + "; rua=mailto:dmarc@" + h.domain}
	}
	return z
}

// author is somebody who writes.
type author struct {
	host
	person, local string
}

func (a author) address() string { return a.local + "@" + a.domain }
func (a author) String() string  { return a.person + " <" + a.address() + ">" }

// authors have domains that ask for three different things.
func authors() []author {
	return []author{
		{host{"mail.fjordline.example", "198.51.100.10", "fjordline.example", "author-rsa2048", "none"}, "Ingrid Holm", "ingrid"},
		{host{"out.altamira.example", "198.51.100.20", "altamira.example", "author-rsa2048", "quarantine"}, "Tomas Rey", "tomas"},
		{host{"mx3.kestrel.example", "198.51.100.30", "kestrel.example", "author-rsa2048", "reject"}, "Ruth Adler", "ruth"},
	}
}

// ruth asks that whatever she did not send be refused.
func ruth() author { return authors()[2] }

// neighbour writes from a domain that asks for nothing.
func neighbour() author {
	return author{host{"mail.hobbygarden.example", "198.51.100.40", "hobbygarden.example", "old-rsa1024", ""}, "Piet Moor", "piet"}
}

// The hosts that hand mail on, and the one that forges it.
func mailman() host {
	return host{"lists.seedswap.example", "203.0.113.10", "lists.seedswap.example", "host-rsa2048", ""}
}
func groups() host {
	return host{"mail-yw1-f187.groupmail.example", "203.0.113.40", "groupmail.example", "host-rsa2048", "quarantine"}
}
func alumni() host {
	return host{"fwd1.alumni.example", "203.0.113.60", "alumni.example", "", ""}
}
func smallISP() host {
	return host{"mx.smallisp.example", "203.0.113.70", "smallisp.example", "", ""}
}
func cloud() host {
	return host{"mail-db3.outbound.cloudpost.example", "203.0.113.80", "tenant.example", "host-ed25519", "none"}
}
func thief() host {
	return host{"vps17.lootbox.example", "192.0.2.200", "lootbox.example", "thief-ed25519", "none"}
}

// with is how the software of a host says that it took a mail.
func (h host) with() string {
	switch h.domain {
	case "groupmail.example":
		return "with SMTPS id 5b1f17b1804b1-477a9d3f2c1sor4417235e9.3.2026.11.22.02.58.05"
	case "tenant.example":
		return "with Microsoft SMTP\nServer (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20.9343.16"
	case "alumni.example":
		return "(Exim 4.98)\n(envelope-from <bounce@alumni.example>)\nid 1vMnQ7-0000000A2bC-3dEf"
	}
	return "(Postfix) with ESMTPS id 7C2AF601E8"
}

// The sealers.
func groupSealer() sealer { return sealer{"groupmail.example", "arc-20260101", "sealer-rsa2048"} }
func cloudSealer() sealer { return sealer{"cloudpost.example", "arcselector10001", "sealer-rsa2048"} }
func listSealer() sealer  { return sealer{"lists.seedswap.example", "arc", "host-ed25519"} }
func edgeSealer() sealer  { return sealer{"edgefilter.example", "seal", "sealer-rsa2048"} }
func thiefSealer() sealer { return sealer{"lootbox.example", "arc", "thief-ed25519"} }

func (s sealer) zone(t testing.TB) mailtest.Zone {
	return mailtest.Zone{s.selector + "._domainkey." + s.domain: {record(t, s.key)}}
}

// says are the results of a host that saw a proof of the author, or a fail.
func (a author) says(spf, dkim, dmarc string) string {
	return fmt.Sprintf("spf=%s smtp.mailfrom=%s; dkim=%s header.d=%s header.s=post; dmarc=%s header.from=%s", spf, a.address(), dkim, a.domain, dmarc, a.domain)
}

// draft is a letter as its author's program wrote it.
func draft(t testing.TB, a author, to, subject string, lines ...string) *letter {
	l := &letter{t: t, at: written, body: text(lines...)}
	id := strings.ToLower(strings.ReplaceAll(subject, " ", "."))
	return l.add("Message-ID", fmt.Sprintf("<20261122105803.%s@%s>", id, a.domain)).
		add("Date", l.at.Format("Mon, 2 Jan 2006 15:04:05 -0700")).
		add("MIME-Version", "1.0").
		add("User-Agent", "Mutt/2.2.13 (2024-03-09)").
		add("Subject", subject).
		add("To", to).
		add("From", a.String()).
		add("Content-Type", "text/plain; charset=UTF-8; format=flowed").
		add("Content-Transfer-Encoding", "7bit")
}

// earlier makes a letter one that was written so many days before.
func (l *letter) earlier(days int) *letter {
	l.at = l.at.AddDate(0, 0, -days)
	return l.set("Date", l.at.Format("Mon, 2 Jan 2006 15:04:05 -0700"))
}

// post signs a letter and hands it to the first host.
func (l *letter) post(a author, by host) *letter {
	l.sign(signature{key: a.key, domain: a.domain, selector: "post"})
	l.received(0, "[10.20.0.7]", "10.20.0.7", a.name, "(Postfix) with ESMTPSA id 4Fq2Xk0Zr1z9s")
	return l.received(2*time.Second, a.name, a.ip, by.name, by.with())
}

// toList is a letter of a to the gardeners, as it reaches the host of the list.
func toList(t testing.TB, a author, list string, by host) *letter {
	return draft(t, a, "Gardeners <"+list+">", "Seed potatoes for March",
		"Hello all,", "", "we have forty kilos of early seed potatoes left. Who takes some?", "They keep until March in a cool shed.", "", a.person,
	).post(a, by)
}

// toBob is a letter of a to an old address of Bob's, as it reaches the host of that address.
func toBob(t testing.TB, a author, to string, by host) *letter {
	return draft(t, a, "Bob Winter <"+to+">", "Minutes of Thursday",
		"Dear Bob,", "", "here are the minutes of Thursday. Please look at item 4,", "the new fence, before we send them round.", "", "Best wishes", a.person,
	).post(a, by)
}
