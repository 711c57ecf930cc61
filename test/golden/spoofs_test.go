package golden_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
)

// forged is a letter that somebody else wrote in Ruth's name.
func forged(t testing.TB, to string) *letter {
	return draft(t, ruth(), to, "Changed bank details",
		"Dear Bob,", "", "please use our new account for the fence from today on.", "The old one is closed.", "", ruth().person,
	).received(time.Second, "vps17.lootbox.example", "192.0.2.200", "relay.lootbox.example", "with ESMTP id 77aa")
}

// spoof is a forged mail with the zone of everybody it names.
func spoof(t testing.TB, name, about, fires, misses string, l *letter, more ...string) made {
	return made{
		name: spoofPrefix + name, about: about, fires: fires, misses: misses, mail: l, by: thief(), from: "office@lootbox.example", more: more,
		zone: zones(ruth().zone(t), thief().zone(t), mailman().zone(t), groups().zone(t), alumni().zone(t), neighbour().zone(t),
			groupSealer().zone(t), cloudSealer().zone(t), edgeSealer().zone(t), thiefSealer().zone(t)),
	}
}

func (m made) envelope(from string) made { m.from = from; return m }

func (m made) beside(file string, l *letter) made {
	m.earlier = map[string]*letter{file: l}
	return m
}

func (m made) after(all map[string]*letter) made { m.earlier = all; return m }

func (m made) over(z mailtest.Zone) made { m.zone = zones(m.zone, z); return m }

const (
	asked       = "DMARC_FAIL DMARC_REJECT"
	everySealer = "sealers: {'*': [groupmail.example, cloudpost.example, edgefilter.example]}"
)

func spoofs(t testing.TB) []made {
	all := append(plainSpoofs(t), oddAuthors(t)...)
	all = append(all, listSpoofs(t)...)
	all = append(all, arcSpoofs(t)...)
	return append(all, pastSpoofs(t)...)
}

// plainSpoofs claim to be Ruth's with nothing but words.
func plainSpoofs(t testing.TB) []made {
	r, bob := ruth(), "bob@example.com"
	genuine := func(s signature) *letter {
		s.key, s.domain, s.selector = r.key, r.domain, "post"
		return draft(t, r, bob, "Minutes of Thursday", "Dear Bob,", "", "the minutes follow tomorrow.").sign(s)
	}
	whole := genuine(signature{})
	cut := genuine(signature{length: len(whole.body)})
	cut.body += text("", "PS: please use our new account from today on.")
	stale := genuine(signature{expires: written.Add(10 * time.Minute)})
	twoFields := forged(t, bob)
	twoFields.fields = append([]string{field("From", "Office <office@lootbox.example>")}, twoFields.fields...)
	twoFields.sign(signature{key: "thief-ed25519", domain: "lootbox.example", selector: "post"})
	below := ruth()
	below.local, below.domain = "ruth", "news.kestrel.example"
	return []made{
		spoof(t, "direct", "a host of nobody's in the author's envelope", asked+" SPF_FAIL", "DMARC_PASS", forged(t, bob)).envelope(r.address()),
		spoof(t, "own-envelope", "the forger's own envelope and signature pass, for the forger", asked+" SPF_PASS DKIM_PASS", "DMARC_PASS",
			forged(t, bob).sign(signature{key: "thief-ed25519", domain: "lootbox.example", selector: "post"})),
		spoof(t, "own-signature-of-author", "the forger signs as the author with a key of his own", asked+" DKIM_FAIL", "DKIM_PASS",
			forged(t, bob).sign(signature{key: "old-rsa1024", domain: "kestrel.example", selector: "post"})),
		spoof(t, "subdomain", "an author below the domain, which covers it", asked, "DMARC_PASS", forged(t, bob).set("From", below.String())),
		spoof(t, "null-sender", "a bounce that never was", asked, "DMARC_PASS", forged(t, bob)).envelope(""),
		spoof(t, "two-from", "two From fields, the upper one proven", "FROM_MULTIPLE "+asked, "DMARC_PASS", twoFields),
		spoof(t, "two-authors", "two authors in one From field, the first proven", "FROM_MULTIPLE "+asked, "DMARC_PASS",
			forged(t, bob).set("From", "Office <office@lootbox.example>, "+r.String())),
		spoof(t, "our-results", "an Authentication-Results field in our name", asked, "DMARC_PASS ARC_PASS",
			forged(t, bob).put("Authentication-Results", "mx.example.com; dmarc=pass header.from=kestrel.example; dkim=pass header.d=kestrel.example; spf=pass smtp.mailfrom=ruth@kestrel.example")),
		spoof(t, "body-length", "a genuine mail signed up to its end, and more behind that", asked+" DKIM_POLICY", "DKIM_PASS", cut),
		spoof(t, "expired", "a genuine mail whose signature is out of time", asked, "DKIM_PASS", stale),
		spoof(t, "other-text", "a genuine signature over another text", asked+" DKIM_FAIL", "DKIM_PASS",
			&letter{t: t, at: written, fields: whole.fields, body: text("Dear Bob,", "", "please use our new account.")}),
		spoof(t, "srs", "the author's address in an envelope of SRS, of the forger's own domain", asked+" SPF_PASS", "DMARC_PASS FORWARDER_KNOWN",
			forwarded(forged(t, bob), thief(), "bobw@lootbox.example"), knownAlumni).envelope(srs(r, "lootbox.example")),
		spoof(t, "resent", "a mail that claims to be sent on", asked, "DMARC_PASS", forged(t, bob).put("Resent-From", neighbour().String()).put("Resent-To", bob)),
	}
}

// oddAuthors write Ruth's address in ways that readers still show as hers.
func oddAuthors(t testing.TB) []made {
	var all []made
	for name, from := range map[string]string{
		"dot":       "Ruth Adler <ruth@kestrel.example.>",
		"capitals":  "Ruth Adler <RUTH@KESTREL.EXAMPLE>",
		"comment":   "Ruth Adler <ruth@(in the office)kestrel.example>",
		"group":     "The board: Ruth Adler <ruth@kestrel.example>;",
		"folded":    "Ruth Adler\n<ruth@kestrel.example>",
		"bare":      "ruth@kestrel.example",
		"route":     "Ruth Adler <@lootbox.example:ruth@kestrel.example>",
		"two-at":    "Ruth Adler <ruth@kestrel.example@lootbox.example>",
		"quoted":    `Ruth Adler <"ruth"@kestrel.example>`,
		"no-close":  "Ruth Adler <ruth@kestrel.example",
		"blanks":    "Ruth Adler <ruth@kestrel . example>",
		"two-words": "ruth@kestrel.example office@lootbox.example",
	} {
		all = append(all, spoof(t, "author-"+name, "the author written so: "+name, "DMARC_REJECT", "DMARC_PASS",
			forged(t, "bob@example.com").set("From", from)))
	}
	plain := forged(t, "bob@example.com").drop("From")
	plain.fields = append(plain.fields, "From : Ruth Adler <ruth@kestrel.example>\r\n")
	return append(all, spoof(t, "author-blank", "a blank before the colon of From", "DMARC_REJECT", "DMARC_PASS", plain))
}

// listSpoofs claim to come through a list.
func listSpoofs(t testing.TB) []made {
	mm := mailman()
	footer := func(l *letter, _ author) *letter { return mailman2(marked(l)) }
	genuinePast := func() *letter { return past(t, footer, atMailman, mm) }
	comes := fmt.Sprintf("earlier: [{mail: earlier.eml, days_ago: [9, 5, 2], ip: %s, helo: %s, from: %s}]", mm.ip, mm.name, bounces)
	twice := mailman2(marked(forged(t, atMailman))).add("List-Id", "<friends.lootbox.example>")
	own := mailman2(marked(forged(t, atMailman))).set("List-Id", "Friends <friends.lootbox.example>")
	longer := mailman2(marked(forged(t, atMailman))).set("List-Id", "Gardeners <gardeners.lists.seedswap.example.lootbox.example>")
	return []made{
		spoof(t, "list-new", "fields of a list that nobody has seen before", asked+" SPF_PASS", "LIST_KNOWN", own),
		spoof(t, "list-unproven", "fields of a known list, from a host that is not its", asked, "LIST_KNOWN", mailman2(marked(forged(t, atMailman))), comes).beside("earlier.eml", genuinePast()),
		spoof(t, "list-envelope", "fields and envelope of a known list, from a host that is not its", asked+" SPF_FAIL", "LIST_KNOWN",
			mailman2(marked(forged(t, atMailman))), comes).beside("earlier.eml", genuinePast()).envelope(bounces),
		spoof(t, "list-two-ids", "two identifiers, the known list's and one of the forger's", asked, "LIST_KNOWN", twice, comes).beside("earlier.eml", genuinePast()),
		spoof(t, "list-longer-id", "an identifier that begins like the known list's", asked, "LIST_KNOWN", longer, comes).beside("earlier.eml", genuinePast()),
		spoof(t, "list-comment", "the known list's identifier in a comment, the forger's in brackets", asked, "LIST_KNOWN",
			mailman2(marked(forged(t, atMailman))).set("List-Id", "(<gardeners.lists.seedswap.example>) <friends.lootbox.example>"), comes).beside("earlier.eml", genuinePast()),
		spoof(t, "list-group", "all fields of a group, which says that it saw a proof", asked, "LIST_KNOWN ARC_TRUSTED",
			groupFooter(googleGroup(forged(t, atGroups), ruth())), everySealer),
		spoof(t, "list-once", "the forger's own list, seen once before", asked+" SPF_PASS", "LIST_KNOWN",
			own, "earlier: [{mail: earlier.eml, days_ago: [1]}]").beside("earlier.eml",
			mailman2(draft(t, author{thief(), "Joe", "joe"}, atMailman, "Hello", "Welcome to the list.").earlier(3)).set("List-Id", "Friends <friends.lootbox.example>")),
	}
}

// arcSpoofs carry chains.
func arcSpoofs(t testing.TB) []made {
	r, bob := ruth(), "bob@example.com"
	saw := r.says("pass", "pass", "pass")
	genuine := func() *letter { return toBob(t, r, atTenant, cloud()).seal(cloudSealer(), "none", saw) }
	stolen := func(l *letter) *letter { // the genuine set before a letter of the forger's
		l.fields = append([]string{genuine().fields[0]}, l.fields...)
		return l
	}
	otherAuthor := toBob(t, neighbour(), atTenant, cloud()).seal(cloudSealer(), "none", neighbour().says("pass", "pass", "none")).set("From", r.String())
	onTop := stolen(forged(t, bob)).seal(thiefSealer(), "pass", "arc=pass; "+saw)
	impostor := cloudSealer()
	impostor.key = "host-rsa2048"
	renumbered := forged(t, bob).seal(thiefSealer(), "none", saw)
	renumbered.fields[0] = strings.ReplaceAll(renumbered.fields[0], "cv=none", "cv=pass")
	gap := forged(t, bob).seal(thiefSealer(), "none", saw)
	gap.fields[0] = strings.ReplaceAll(gap.fields[0], "i=1;", "i=2;")
	self := forged(t, bob).seal(thiefSealer(), "none", saw).seal(thiefSealer(), "pass", "arc=pass; "+saw)
	return []made{
		spoof(t, "arc-self-made", "a chain of the forger's own that says pass", asked+" ARC_PASS", "ARC_TRUSTED", self, everySealer),
		spoof(t, "arc-impostor", "a seal in the name of a trusted sealer with another key", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS", forged(t, bob).seal(impostor, "none", saw), everySealer),
		spoof(t, "arc-copied", "the genuine set of another mail", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS", stolen(forged(t, bob)), everySealer),
		spoof(t, "arc-other-author", "a sealed mail of somebody else, with another author", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS", otherAuthor, everySealer),
		spoof(t, "arc-on-top", "the forger's seal over the genuine set of another mail", asked, "ARC_TRUSTED", onTop, everySealer),
		spoof(t, "arc-elsewhere", "a trusted sealer, but trusted about another domain", asked+" ARC_PASS", "ARC_TRUSTED",
			forged(t, bob).seal(cloudSealer(), "none", saw), "sealers: {fjordline.example: [cloudpost.example], estrel.example: [cloudpost.example]}"),
		spoof(t, "arc-honest", "a trusted sealer that says that nothing proved the author", asked+" ARC_PASS", "ARC_TRUSTED", forged(t, bob).seal(cloudSealer(), "none", r.says("fail", "none", "fail")), everySealer),
		spoof(t, "arc-other-proof", "a trusted sealer that saw a proof of the forger", asked+" ARC_PASS", "ARC_TRUSTED",
			forged(t, bob).seal(cloudSealer(), "none", "spf=pass smtp.mailfrom=office@lootbox.example; dkim=pass header.d=lootbox.example"), everySealer),
		spoof(t, "arc-cv", "a first set that says it saw a good chain", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS", renumbered, everySealer, "# cv=pass at i=1 is none of RFC 8617"),
		spoof(t, "arc-gap", "a chain that begins with its second set", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS", gap, everySealer),
		spoof(t, "arc-two-from", "a trusted seal, and another From field on top", "FROM_MULTIPLE "+asked, "ARC_TRUSTED DMARC_PASS",
			toBob(t, neighbour(), atTenant, cloud()).seal(cloudSealer(), "none", neighbour().says("pass", "pass", "none")).put("From", r.String()), everySealer),
		spoof(t, "arc-results-only", "a lone ARC-Authentication-Results field", asked+" ARC_FAIL", "ARC_TRUSTED ARC_PASS",
			forged(t, bob).put("ARC-Authentication-Results", "i=1; mx.cloudpost.example; "+saw), everySealer),
	}
}

// pastSpoofs use what was seen before, or who was named.
func pastSpoofs(t testing.TB) []made {
	r, th, bob := ruth(), thief(), "bob@example.com"
	genuine := toBob(t, r, atAlumni, alumni()).earlier(0)
	nobodys := zones(mailtest.Zone{mailtest.ReverseName(th.ip): {"PTR fwd1.alumni.example"}})
	own := author{th, "Joe", "joe"}
	return []made{
		spoof(t, "forwarder-name", "the reverse name is a named forwarder's, which does not lead back", asked+" PTR_MISMATCH", "FORWARDER_KNOWN", footed(forged(t, bob)), knownAlumni).over(nobodys),
		spoof(t, "forwarder-helo", "the forwarder's name at HELO alone", asked, "FORWARDER_KNOWN", footed(forged(t, bob)), knownAlumni).as("fwd1.alumni.example"),
		spoof(t, "forwarder-below", "a name that ends like the forwarder's", asked, "FORWARDER_KNOWN", footed(forged(t, bob)), knownAlumni).over(mailtest.Zone{
			mailtest.ReverseName(th.ip): {"PTR fwd1.notalumni.example"}, "fwd1.notalumni.example": {"A " + th.ip}}),
		spoof(t, "forwarder-other-reader", "a named forwarder, but named for another reader", asked, "FORWARDER_KNOWN", footed(forged(t, bob)),
			"forwarders: [{name: lootbox, networks: [192.0.2.200/32], for: [carol@example.com, example.net]}]"),
		spoof(t, "source-other-author", "a source that proved another author before", asked+" SPF_PASS", "SOURCE_KNOWN", forged(t, bob),
			knownSource).after(letters(t, own, bob, th, func(l *letter) *letter { return l })),
		spoof(t, "source-refused", "the same was tried, and refused, on several days before", asked, "SOURCE_KNOWN", forged(t, bob), "earlier: [{days_ago: [9, 5, 2, 1]}]"),
		spoof(t, "source-envelope", "the forwarder's envelope, which history knows, from another host", asked+" SPF_FAIL", "SOURCE_KNOWN", forged(t, bob),
			strings.ReplaceAll(knownSource, "}", fmt.Sprintf(", ip: %s, helo: %s}", alumni().ip, alumni().name))).envelope(srs(r, "alumni.example")).
			after(letters(t, r, atAlumni, alumni(), func(l *letter) *letter { return forwarded(l, alumni(), atAlumni) })),
		spoof(t, "source-once", "a genuine mail was replayed from this host, twice on one day", asked, "SOURCE_KNOWN", forged(t, bob),
			"earlier: [{mail: earlier.eml, days_ago: [1, 1]}]").beside("earlier.eml", genuine.earlier(2)),
		spoof(t, "source-replayed", "one genuine mail was sent again from this host, on many days", asked, "SOURCE_KNOWN", forged(t, bob),
			"earlier: [{mail: earlier.eml, days_ago: [9, 8, 7, 6, 5, 4, 3, 2, 1]}]").beside("earlier.eml", toBob(t, r, atAlumni, alumni()).earlier(0)),
		spoof(t, "correspondent", "Bob wrote to the author before", asked, "KNOWN_CORRESPONDENT", forged(t, bob),
			"earlier: [{mail: earlier.eml, days_ago: [4], account: bob@example.com, from: bob@example.com, to: [ruth@kestrel.example]}]").
			beside("earlier.eml", draft(t, author{host{domain: "example.com"}, "Bob Winter", "bob"}, "ruth@kestrel.example", "The fence", "Dear Ruth,", "", "who pays for the fence?", "", "Bob").earlier(4)),
	}
}

func (m made) as(helo string) made { m.by.name = helo; return m }

// doubts are forged mails for which something does speak: a list does not ask who writes to
// it, and what a forger handed on before was genuine. Nobody can tell them from honest ones,
// so they are held.
func doubts(t testing.TB) []made {
	r, mm, al, bob := ruth(), mailman(), alumni(), "bob@example.com"
	footer := func(l *letter, _ author) *letter { return mailman2(marked(l)) }
	own := func(l *letter) *letter {
		return mailman2(marked(l)).set("List-Id", "Friends <friends.lootbox.example>")
	}
	grown := spoof(t, "", "the forger handed on three genuine mails of the author before", asked+" SOURCE_KNOWN", "DMARC_PASS", forged(t, bob), knownSource)
	grown.earlier = letters(t, r, atAlumni, al, func(l *letter) *letter { return l })
	member := spoof(t, "", "a forged mail that a known list hands on", asked+" LIST_KNOWN", "DMARC_PASS", out(footer(forged(t, atMailman), r), mm), knownList).
		envelope(bounces).beside("earlier.eml", past(t, footer, atMailman, mm))
	member.by = mm
	members := spoof(t, "", "the forger's own list, which carried harmless mail for a week", asked+" LIST_KNOWN", "DMARC_PASS", own(forged(t, atMailman)), knownList).
		beside("earlier.eml", own(draft(t, author{thief(), "Joe", "joe"}, atMailman, "Hello", "Welcome to the list.").earlier(12)))
	all := []made{grown, member, members}
	for i, name := range []string{"source-grown", "list-member", "list-grown"} {
		all[i].name = doubtPrefix + name
	}
	return all
}

// strangers are honest mails that nothing speaks for: what the author's domain asks is done.
func strangers(t testing.TB) []made {
	var all []made
	for _, a := range authors() {
		mm, al, c := mailman(), alumni(), cloud()
		zone := zones(a.zone(t), mm.zone(t), al.zone(t), c.zone(t), cloudSealer().zone(t))
		for _, m := range []made{
			{name: "list", about: "a list nobody here knows", fires: "DMARC_FAIL", misses: "LIST_KNOWN", by: mm, from: bounces, mail: out(mailman2(marked(toList(t, a, atMailman, mm))), mm)},
			{name: "forwarder", about: "a forwarder nobody named writes below the text", fires: "DMARC_FAIL", misses: "FORWARDER_KNOWN SOURCE_KNOWN", by: al, from: srs(a, al.domain),
				mail: footed(forwarded(toBob(t, a, atAlumni, al), al, atAlumni))},
			{name: "sealer", about: "a sealer nobody believes", fires: "DMARC_FAIL ARC_PASS", misses: "ARC_TRUSTED", by: c, from: "bob@tenant.example",
				mail: forwarded(external(toBob(t, a, atTenant, c)).seal(cloudSealer(), "none", a.says("pass", "pass", "pass")), c, atTenant)},
		} {
			m.name, m.zone = strangerPrefix+m.name+"-"+a.policy, zone
			all = append(all, m)
		}
	}
	return all
}
