package golden_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// Bob's addresses elsewhere, which forward to us.
const (
	atAlumni = "bob.winter@alumni.example"
	atISP    = "bobw@smallisp.example"
	atTenant = "bob@tenant.example"
)

// srs is the envelope sender of a forwarder that rewrites it.
func srs(a author, by string) string {
	return fmt.Sprintf("SRS0=hQ7t=W3=%s=%s@%s", a.domain, a.local, by)
}

// forwarded adds what forwarders write.
func forwarded(l *letter, by host, old string) *letter {
	l.received(4*time.Second, "localhost", "127.0.0.1", by.name, by.with()+"\nfor <bob@example.com>")
	return l.put("X-Forwarded-To", "bob@example.com").put("X-Forwarded-For", old+" bob@example.com").put("Delivered-To", old)
}

// external is what a hosted exchange does to mail from outside: a mark before the subject, a
// warning above the text, and the text encoded anew.
func external(l *letter) *letter {
	l.set("Subject", "[EXTERNAL] "+l.get("Subject"))
	l.set("Content-Type", `text/plain; charset="utf-8"`).set("Content-Transfer-Encoding", "quoted-printable")
	l.body = text("CAUTION: This email originated from outside of the organization.", "") + strings.ReplaceAll(l.body, "=", "=3D")
	for _, f := range [][2]string{
		{"X-MS-Exchange-Organization-AuthSource", "DB3PR01MB0042.internal.cloudpost.example"}, {"X-MS-Has-Attach", ""},
		{"X-MS-TNEF-Correlator", ""}, {"X-Originating-IP", "[10.20.0.7]"}, {"x-ms-exchange-transport-forked", "True"},
	} {
		l.add(f[0], f[1])
	}
	return l
}

// footed is an alumni office's line below the text.
func footed(l *letter) *letter {
	l.body += text("", "--", "Forwarded by the alumni office. Change your address: https://www.alumni.example/forwarding")
	return l
}

// handedOn are all mails with evidence: of lists, forwarders and sealers, for every author.
func handedOn(t testing.TB) []made {
	var all []made
	for _, a := range authors() {
		for _, m := range slices.Concat(listMails(t, a), forwarderMails(t, a), cloudMails(t, a), sealedMails(t, a)) {
			m.name = viaPrefix + m.name + "-" + a.policy
			all = append(all, m)
		}
	}
	return all
}

const (
	knownAlumni = "forwarders: [{name: alumni office, hosts: ['*.alumni.example'], for: [bob@example.com]}]"
	knownISP    = "forwarders: [{name: old provider, networks: [203.0.113.64/28]}]"
)

// forwarderMails are mails that came over another address of Bob's.
func forwarderMails(t testing.TB, a author) []made {
	al, isp := alumni(), smallISP()
	viaAlumni := func() *letter { return forwarded(toBob(t, a, atAlumni, al), al, atAlumni) }
	viaISP := func() *letter { return forwarded(toBob(t, a, atISP, isp), isp, atISP) }
	unsigned := func() *letter { return viaISP().drop("DKIM-Signature") }
	handOn := func(l *letter) *letter { return forwarded(l, al, atAlumni) }
	mails := []made{
		{name: "fwd-plain", by: isp, from: a.address(), about: "a .forward: the envelope stays, SPF breaks, the signature lives", fires: "SPF_FAIL DKIM_PASS DMARC_PASS", misses: "DMARC_FAIL FORWARDER_KNOWN", mail: viaISP()},
		{name: "fwd-srs", by: al, from: srs(a, al.domain), about: "a forwarder with SRS: SPF passes for him, the signature lives", fires: "SPF_PASS DKIM_PASS DMARC_PASS", misses: "DMARC_FAIL", mail: viaAlumni()},
		{name: "fwd-footer", by: al, from: srs(a, al.domain), about: "an alumni office writes below the text; the postmaster named its hosts", fires: "FORWARDER_KNOWN DMARC_FAIL DKIM_FAIL", misses: "SOURCE_KNOWN",
			mail: footed(viaAlumni()), more: []string{knownAlumni}},
		{name: "fwd-unsigned", by: isp, from: a.address(), about: "an unsigned mail over a .forward: nothing is left but that the postmaster named the forwarder", fires: "FORWARDER_KNOWN SPF_FAIL DKIM_NONE DMARC_FAIL",
			mail: unsigned(), more: []string{knownISP}},
		{name: "fwd-subject", by: isp, from: a.address(), about: "a provider marks the subject; the postmaster named its network", fires: "FORWARDER_KNOWN DKIM_FAIL DMARC_FAIL",
			mail: viaISP().set("Subject", "[bulk?] Minutes of Thursday"), more: []string{knownISP}},
		{name: "fwd-null", by: isp, from: "", about: "a forwarder with the null sender, which some use against loops", fires: "FORWARDER_KNOWN DMARC_FAIL", misses: "DMARC_PASS",
			mail: unsigned(), more: []string{knownISP}},
		{name: "fwd-source", by: al, from: srs(a, al.domain), about: "an alumni office began to write below the text; before, the author's signature lived", fires: "SOURCE_KNOWN DMARC_FAIL", misses: "FORWARDER_KNOWN",
			mail: footed(viaAlumni()), more: []string{knownSource}, earlier: letters(t, a, atAlumni, al, handOn)},
		{name: "fwd-resent", by: neighbour().host, from: neighbour().address(), about: "somebody sends a letter on as it is, in his own envelope", fires: "SPF_PASS DKIM_PASS DMARC_PASS", misses: "FROM_MULTIPLE DKIM_ADDED_FIELDS",
			mail: toBob(t, a, neighbour().address(), neighbour().host).put("Resent-Message-ID", "<resent.1@hobbygarden.example>").put("Resent-To", "bob@example.com").
				put("Resent-Date", "Sun, 22 Nov 2026 11:20:00 +0000").put("Resent-From", neighbour().String())},
		{name: "fwd-allowed", by: isp, from: a.address(), about: "a forwarder nobody described, whose address the postmaster allowed", fires: "OWN_ALLOW DMARC_FAIL", misses: "FORWARDER_KNOWN",
			mail: unsigned(), more: []string{"allow: [203.0.113.70]"}},
	}
	zone := zones(a.zone(t), al.zone(t), isp.zone(t), neighbour().zone(t))
	for i := range mails {
		mails[i].zone = zone
	}
	return mails
}

// cloudMails are mails that a hosted exchange changed and handed on.
func cloudMails(t testing.TB, a author) []made {
	c := cloud()
	changed := func() *letter {
		l := toBob(t, a, atTenant, c)
		return external(l.set("X-MS-Exchange-CrossTenant-Id", "7f9c1f5e-0000-4000-8000-000000000042"))
	}
	sealed := func(results string) *letter {
		return forwarded(changed().seal(cloudSealer(), "none", results), c, atTenant)
	}
	envelope := "bob+SRS=Zx81Q=W3=" + a.domain + "=" + a.local + "@tenant.example"
	resigned := forwarded(changed().sign(signature{key: c.key, domain: c.domain, selector: "post"}), c, atTenant)
	mails := []made{
		{name: "cloud-arc", about: "a hosted exchange marks and seals; its seals are believed about everybody", fires: "ARC_PASS ARC_TRUSTED DKIM_FAIL DMARC_FAIL", misses: "ARC_FAIL FORWARDER_KNOWN",
			mail: sealed(a.says("pass", "pass", "pass")), more: []string{"sealers: {'*': [cloudpost.example, groupmail.example]}"}},
		{name: "cloud-arc-author", about: "its seals are believed about this author's domain", fires: "ARC_TRUSTED DMARC_FAIL", misses: "ARC_FAIL",
			mail: sealed(a.says("pass", "none", "pass")), more: []string{"sealers: {" + a.domain + ": [cloudpost.example]}"}},
		{name: "cloud-arc-dkim", about: "the sealer says only that the author's signature was good", fires: "ARC_TRUSTED DMARC_FAIL",
			mail: sealed("spf=softfail smtp.mailfrom=" + a.address() + "; dkim=pass header.d=" + a.domain), more: []string{"sealers: {'*': [cloudpost.example]}"}},
		{name: "cloud-known", about: "a hosted exchange marks and signs for its tenant; the postmaster named its hosts", fires: "FORWARDER_KNOWN DKIM_PASS DMARC_FAIL", misses: "ARC_TRUSTED",
			mail: resigned, more: []string{"forwarders: [{name: cloud, hosts: ['*.outbound.cloudpost.example'], for: [example.com]}]"}},
	}
	for i := range mails {
		m := &mails[i]
		m.by, m.from, m.zone = c, envelope, zones(a.zone(t), c.zone(t), cloudSealer().zone(t))
	}
	return mails
}

// sealedMails crossed one or two hosts that seal.
func sealedMails(t testing.TB, a author) []made {
	c, isp := cloud(), smallISP()
	saw := a.says("pass", "pass", "pass")
	first := func() *letter { return toBob(t, a, atTenant, c).seal(edgeSealer(), "none", saw) }
	second := func(l *letter, results string) *letter {
		return forwarded(external(l).seal(cloudSealer(), "pass", "arc=pass; "+results), c, atTenant)
	}
	spoiled := a.says("fail", "fail", "fail")
	mails := []made{
		{name: "arc-two", about: "two sealers, both believed; the second saw only that the chain was good", fires: "ARC_PASS ARC_TRUSTED DMARC_FAIL", misses: "ARC_FAIL",
			mail: second(first(), "spf=pass smtp.mailfrom=bounce@edgefilter.example; dkim=none; dmarc=none header.from="+a.domain), more: []string{"sealers: {'*': [cloudpost.example, edgefilter.example]}"}},
		{name: "arc-two-last", about: "two sealers, the last is believed and saw the author's signature itself", fires: "ARC_PASS ARC_TRUSTED DMARC_FAIL",
			mail: second(first(), saw), more: []string{"sealers: {'*': [cloudpost.example]}"}},
		{name: "arc-unknown", about: "a sealer nobody believes; the author's signature lives", fires: "ARC_PASS DKIM_PASS DMARC_PASS", misses: "ARC_TRUSTED DMARC_FAIL",
			mail: forwarded(toBob(t, a, atTenant, c).seal(edgeSealer(), "none", saw), c, atTenant)},
		{name: "arc-unknown-named", about: "a sealer nobody believes, on a forwarder that the postmaster named", fires: "ARC_PASS FORWARDER_KNOWN DMARC_FAIL", misses: "ARC_TRUSTED",
			mail: second(first(), saw), more: []string{"forwarders: [{name: cloud, networks: [203.0.113.80/32], for: [example.com]}]"}},
		{name: "arc-broken", about: "somebody changed the text behind the sealer; the postmaster named the forwarder", fires: "ARC_FAIL FORWARDER_KNOWN DMARC_FAIL", misses: "ARC_PASS ARC_TRUSTED",
			mail: footed(first()), by: isp, from: a.address(), more: []string{knownISP, "sealers: {'*': [edgefilter.example]}"}},
		{name: "arc-broken-signed", about: "somebody put another subject of his own behind the sealer, which the author did not sign", fires: "DKIM_PASS DMARC_PASS", misses: "ARC_TRUSTED DMARC_FAIL",
			mail: forwarded(loose(t, a).seal(edgeSealer(), "none", saw).set("Subject", "Fwd: Minutes of Thursday"), c, atTenant)},
		{name: "arc-source", about: "two sealers nobody believes; what this source brought before was the author's", fires: "SOURCE_KNOWN ARC_PASS DMARC_FAIL", misses: "ARC_TRUSTED",
			mail: second(first(), spoiled), more: []string{knownSource},
			earlier: letters(t, a, atTenant, c, func(l *letter) *letter { return forwarded(l, c, atTenant) })},
	}
	zone := zones(a.zone(t), c.zone(t), isp.zone(t), cloudSealer().zone(t), edgeSealer().zone(t))
	for i := range mails {
		m := &mails[i]
		m.zone = zone
		if m.by.name == "" {
			m.by, m.from = c, "bob+SRS=Zx81Q=W3="+a.domain+"="+a.local+"@tenant.example"
		}
	}
	return mails
}

// loose is a letter whose author signs From, Date and text alone.
func loose(t testing.TB, a author) *letter {
	return draft(t, a, "Bob Winter <"+atTenant+">", "Minutes of Thursday", "Dear Bob,", "", "the minutes follow tomorrow.", "", a.person).
		sign(signature{key: a.key, domain: a.domain, selector: "post", names: "from:date:message-id"}).
		received(2*time.Second, a.name, a.ip, cloud().name, cloud().with())
}

// chains are sealed mails whose seals cannot be judged, or just can.
func chains(t testing.TB) []made {
	a, c, s := ruth(), cloud(), cloudSealer()
	saw := a.says("pass", "pass", "pass")
	sealed := func() *letter {
		return forwarded(external(toBob(t, a, atTenant, c)).seal(s, "none", saw), c, atTenant)
	}
	long := toBob(t, a, atTenant, c).seal(s, "none", saw)
	for range 9 {
		long.seal(edgeSealer(), "pass", "arc=pass; "+saw)
	}
	zone := zones(a.zone(t), c.zone(t), s.zone(t), edgeSealer().zone(t))
	key := s.selector + "._domainkey." + s.domain
	with := func(records ...string) mailtest.Zone { return zones(zone, mailtest.Zone{key: records}) }
	mails := []made{
		{name: "key-away", about: "the key of the seal cannot be looked up now", fires: "ARC_TEMPERROR DMARC_FAIL", misses: "ARC_PASS ARC_FAIL ARC_TRUSTED", mail: sealed(), zone: with("!servfail TXT")},
		{name: "key-gone", about: "the key of the seal is there no more", fires: "ARC_FAIL", misses: "ARC_TEMPERROR ARC_PASS ARC_TRUSTED", mail: sealed(), zone: with("A 203.0.113.80")},
		{name: "key-revoked", about: "the sealer took its key back", fires: "ARC_FAIL", misses: "ARC_PASS ARC_TRUSTED", mail: sealed(), zone: with("TXT v=DKIM1; p=")},
		{name: "ten", about: "ten sets, each good", fires: "ARC_PASS ARC_TRUSTED DKIM_PASS", misses: "ARC_FAIL ARC_TEMPERROR", mail: long, zone: zone},
		{name: "two-keys", about: "two keys at one name: any may be the one", fires: "ARC_PASS ARC_TRUSTED", misses: "ARC_FAIL", mail: sealed(), zone: with(record(t, "host-rsa2048"), record(t, s.key))},
	}
	for i := range mails {
		m := &mails[i]
		m.name, m.by, m.from = chainPrefix+m.name, c, "bob+SRS=Zx81Q=W3=kestrel.example=ruth@tenant.example"
		m.more = []string{"sealers: {'*': [cloudpost.example, edgefilter.example]}"}
	}
	return mails
}
