package golden_test

import (
	"strings"
	"testing"
	"time"
)

// The list of the gardeners at its two homes.
const (
	atMailman = "gardeners@lists.seedswap.example"
	atGroups  = "gardeners@groupmail.example"

	bounces      = "gardeners-bounces@lists.seedswap.example"
	groupBounces = "gardeners+bncBCQ7XHWK3ULRBKN5T3FQMGQEKJ4ZYNI@groupmail.example"
)

// mailman2 adds the fields of Mailman 2.1.
func mailman2(l *letter) *letter {
	for _, f := range [][2]string{
		{"Sender", `"Gardeners" <` + bounces + ">"}, {"Errors-To", bounces},
		{"List-Subscribe", "<https://lists.seedswap.example/mailman/listinfo/gardeners>,\n<mailto:gardeners-request@lists.seedswap.example?subject=subscribe>"},
		{"List-Help", "<mailto:gardeners-request@lists.seedswap.example?subject=help>"},
		{"List-Post", "<mailto:" + atMailman + ">"},
		{"List-Archive", "<https://lists.seedswap.example/pipermail/gardeners/>"},
		{"List-Unsubscribe", "<https://lists.seedswap.example/mailman/options/gardeners>,\n<mailto:gardeners-request@lists.seedswap.example?subject=unsubscribe>"},
		{"List-Id", "Swapping seeds and tools <gardeners.lists.seedswap.example>"},
		{"Precedence", "list"}, {"X-Mailman-Version", "2.1.39"}, {"X-BeenThere", atMailman},
	} {
		at := f[0] == "Sender" || f[0] == "Errors-To"
		if at {
			l.add(f[0], f[1])
		} else {
			l.put(f[0], f[1])
		}
	}
	return l
}

// mailman3 adds the fields of Mailman 3.3.
func mailman3(l *letter) *letter {
	for _, f := range [][2]string{
		{"Message-ID-Hash", "QZ6VZ2M6RJ3J5N4TQ7K2XW5DLHY3S6UA"}, {"X-Message-ID-Hash", "QZ6VZ2M6RJ3J5N4TQ7K2XW5DLHY3S6UA"},
		{"X-MailFrom", "member@lists.seedswap.example"},
		{"X-Mailman-Rule-Misses", "dmarc-mitigation; no-senders; approved; loop; banned-address; emergency; member-moderation"},
		{"X-Mailman-Version", "3.3.9"}, {"Precedence", "list"},
		{"Archived-At", "<https://lists.seedswap.example/hyperkitty/list/" + atMailman + "/message/QZ6VZ2M6RJ3J5N4TQ7K2XW5DLHY3S6UA/>"},
		{"List-Archive", "<https://lists.seedswap.example/hyperkitty/list/" + atMailman + "/>"},
		{"List-Help", "<mailto:gardeners-request@lists.seedswap.example?subject=help>"},
		{"List-Owner", "<mailto:gardeners-owner@lists.seedswap.example>"},
		{"List-Post", "<mailto:" + atMailman + ">"},
		{"List-Subscribe", "<mailto:gardeners-join@lists.seedswap.example>"},
		{"List-Unsubscribe", "<mailto:gardeners-leave@lists.seedswap.example>"},
	} {
		l.add(f[0], f[1])
	}
	return l.put("List-Id", "Swapping seeds and tools <gardeners.lists.seedswap.example>")
}

// googleGroup adds the fields of a group of that kind.
func googleGroup(l *letter, a author) *letter {
	for _, f := range [][2]string{
		{"X-Original-Sender", a.address()},
		{"X-Original-Authentication-Results", "mx.groupmail.example;       dkim=pass\n header.i=@" + a.domain + " header.s=post;       spf=pass smtp.mailfrom=" + a.address()},
		{"Precedence", "list"},
		{"Mailing-list", "list " + atGroups + "; contact gardeners+owners@groupmail.example"},
		{"List-ID", "<gardeners.groupmail.example>"},
		{"X-Spam-Checked-In-Group", atGroups}, {"X-Google-Group-Id", "871265490123"},
		{"List-Post", "<https://groups.groupmail.example/group/gardeners/post>, <mailto:" + atGroups + ">"},
		{"List-Help", "<https://support.groupmail.example/a/bin/topic.py?topic=25838>,\n<mailto:gardeners+help@groupmail.example>"},
		{"List-Archive", "<https://groups.groupmail.example/group/gardeners/>"},
		{"List-Unsubscribe", "<mailto:googlegroups-manage+871265490123+unsubscribe@groupmail.example>,\n<https://groups.groupmail.example/group/gardeners/subscribe>"},
	} {
		l.add(f[0], f[1])
	}
	return l
}

// marked puts the list's name before the subject and its footer below the text, which breaks
// every signature of the author.
func marked(l *letter) *letter {
	l.set("Subject", "[Gardeners] "+l.get("Subject"))
	l.body += text("_______________________________________________", "Gardeners mailing list", "Gardeners@lists.seedswap.example",
		"https://lists.seedswap.example/mailman/listinfo/gardeners")
	return l
}

// groupFooter is what a group writes below the text.
func groupFooter(l *letter) *letter {
	l.body += text("", "-- ", `You received this message because you are subscribed to the Google Groups "Gardeners" group.`,
		"To unsubscribe from this group and stop receiving emails from it, send an email to gardeners+unsubscribe@groupmail.example.")
	return l
}

// via rewrites the author to the list, as lists do for authors whose domain asks for more.
func via(l *letter, a author, form, list string) *letter {
	l.set("From", strings.ReplaceAll(form, "NAME", a.person)+" <"+list+">")
	return l
}

// out is the last hop of a list or forwarder, to us.
func out(l *letter, from host) *letter {
	return l.received(7*time.Second, "localhost", "127.0.0.1", from.name, from.with())
}

// past is a post of a member whose domain asks for nothing, through the list in its usual form.
func past(t testing.TB, through func(*letter, author) *letter, list string, by host) *letter {
	p := neighbour()
	l := draft(t, p, "Gardeners <"+list+">", "Rain barrels", "Does anybody know a good cooper?", "", p.person).earlier(12).post(p, by)
	return out(through(l, p), by)
}

// knownSource says that three letters came before, each on its day.
const knownSource = "earlier: [{mail: may.eml, days_ago: [9]}, {mail: june.eml, days_ago: [5]}, {mail: july.eml, days_ago: [2]}]"

// letters are the three of knownSource, handed on as they are.
func letters(t testing.TB, a author, to string, by host, handOn func(*letter) *letter) map[string]*letter {
	all := map[string]*letter{}
	for _, month := range []string{"May", "June", "July"} {
		l := draft(t, a, to, "Letter of "+month, "Dear all,", "", "this is the letter of "+month+".", "", a.person).earlier(12)
		all[strings.ToLower(month)+".eml"] = handOn(l.post(a, by))
	}
	return all
}

const knownList = "earlier: [{mail: earlier.eml, days_ago: [9, 5, 2]}]"

// listMails are mails of lists with evidence, for one author.
func listMails(t testing.TB, a author) []made {
	mm, list := mailman(), func() *letter { return toList(t, a, atMailman, mailman()) }
	zone := zones(a.zone(t), mm.zone(t), neighbour().zone(t), listSealer().zone(t))
	footer2 := func(l *letter, _ author) *letter { return mailman2(marked(l)) }
	footer3 := func(l *letter, _ author) *letter { return mailman3(marked(l)) }
	signed := func(l *letter) *letter { return l.sign(signature{key: mm.key, domain: mm.domain, selector: "post"}) }
	mails := []made{
		{name: "mm2-footer", about: "Mailman 2 marks subject and text; the list is known", fires: "LIST_KNOWN DMARC_FAIL DKIM_FAIL", misses: "ARC_TRUSTED",
			mail: out(footer2(list(), a), mm), more: []string{knownList}, earlier: map[string]*letter{"earlier.eml": past(t, footer2, atMailman, mm)}},
		{name: "mm3-footer", about: "Mailman 3 marks subject and text; the list is known", fires: "LIST_KNOWN DMARC_FAIL DKIM_FAIL",
			mail: out(footer3(list(), a), mm), more: []string{knownList}, earlier: map[string]*letter{"earlier.eml": past(t, footer3, atMailman, mm)}},
		{name: "mm2-signed", about: "the known list signs what it sends; its envelope proves nothing any more, as a relay brings it", fires: "LIST_KNOWN SPF_FAIL DKIM_PASS DMARC_FAIL",
			mail: out(signed(footer2(list(), a)), mm), ip: "203.0.113.11", more: []string{knownList},
			earlier: map[string]*letter{"earlier.eml": out(signed(footer2(draft(t, neighbour(), atMailman, "Rain barrels", "Does anybody know a good cooper?").earlier(12).post(neighbour(), mm), a)), mm)}},
		{name: "mm3-arc", about: "Mailman 3 marks the text and seals what it saw; its seals are believed", fires: "ARC_PASS ARC_TRUSTED DMARC_FAIL", misses: "LIST_KNOWN ARC_FAIL",
			mail: out(footer3(list(), a).seal(listSealer(), "none", a.says("pass", "pass", "pass")), mm), more: []string{"sealers: {'*': [lists.seedswap.example]}"}},
		{name: "mm2-munged", about: "Mailman 2 writes the list into From: the author's domain has no say", fires: "DKIM_FAIL", misses: "DMARC_FAIL",
			mail: out(mailman2(marked(via(list(), a, "NAME via Gardeners", atMailman))).add("Reply-To", a.String()), mm)},
		{name: "mm3-munged", about: "Mailman 3 writes the list into From and signs", fires: "DKIM_PASS DMARC_PASS", misses: "DMARC_FAIL",
			mail: out(signed(mailman3(marked(via(list().drop("DKIM-Signature"), a, "NAME via Gardeners", atMailman))).add("Reply-To", a.String()).
				add("X-Mailman-Rule-Hits", "dmarc-mitigation")), mm), zone: zones(zone, map[string][]string{"_dmarc.seedswap.example": {"TXT v=DMARC1; p=reject"}})},
		{name: "mm2-wrapped", about: "Mailman 2 wraps the mail into one of the list's", misses: "DMARC_FAIL DKIM_ADDED_FIELDS",
			mail: out(wrapped(t, a, list()), mm)},
		{name: "mm3-untouched", about: "Mailman 3 without marks: the author's signature lives", fires: "DKIM_PASS DMARC_PASS", misses: "DKIM_FAIL LIST_KNOWN",
			mail: out(mailman3(list()), mm)},
		{name: "mm2-source", about: "a list that began to mark what it sends; before, the author's signature lived", fires: "SOURCE_KNOWN DMARC_FAIL",
			mail: out(footer2(list(), a), mm), more: []string{knownSource},
			earlier: letters(t, a, atMailman, mm, func(l *letter) *letter { return out(mailman2(l), mm) })},
	}
	for i := range mails {
		m := &mails[i]
		m.by, m.from = mm, bounces
		if m.zone == nil {
			m.zone = zone
		}
	}
	return append(mails, groupMails(t, a)...)
}

// groupMails are those of groups, which come in an envelope of their own and sealed.
func groupMails(t testing.TB, a author) []made {
	gg, list := groups(), func() *letter { return toList(t, a, atGroups, groups()) }
	zone := zones(a.zone(t), gg.zone(t), groupSealer().zone(t), neighbour().zone(t))
	footer := func(l *letter, a author) *letter { return groupFooter(googleGroup(l, a)) }
	saw := a.says("pass", "pass", "pass")
	twice := func(l *letter) *letter {
		return footer(l.seal(groupSealer(), "none", saw), a).seal(groupSealer(), "pass", "arc=pass; "+saw)
	}
	resigned := func(l *letter) *letter {
		return l.drop("DKIM-Signature").sign(signature{key: gg.key, domain: gg.domain, selector: "post"}).set("X-Google-DKIM-Signature", "v=1; a=rsa-sha256; c=relaxed/relaxed; d=1e100.example; s=20260101")
	}
	mails := []made{
		{name: "gg-arc", about: "a group writes a footer and seals twice; its seals are believed", fires: "ARC_PASS ARC_TRUSTED DMARC_FAIL", misses: "LIST_KNOWN ARC_FAIL",
			mail: out(twice(list()), gg), more: []string{"sealers: {'*': [groupmail.example]}"}},
		{name: "gg-untouched", about: "a group without a footer: the author's signature lives", fires: "DKIM_PASS DMARC_PASS ARC_PASS", misses: "ARC_TRUSTED",
			mail: out(googleGroup(list(), a).seal(groupSealer(), "none", saw), gg)},
		{name: "gg-munged", about: "a group writes itself into From and signs anew", fires: "DKIM_PASS DMARC_PASS", misses: "DMARC_FAIL",
			mail: out(resigned(footer(via(list(), a, "'NAME' via Gardeners", atGroups), a).add("Reply-To", a.String()).add("X-Original-From", a.String())).seal(groupSealer(), "none", saw), gg)},
		{name: "gg-known", about: "a group writes a footer; nobody is believed about seals, but the group is known", fires: "LIST_KNOWN ARC_PASS DMARC_FAIL", misses: "ARC_TRUSTED",
			mail: out(twice(list()), gg), more: []string{knownList}, earlier: map[string]*letter{"earlier.eml": past(t, footer, atGroups, gg)}},
	}
	for i := range mails {
		mails[i].by, mails[i].from, mails[i].zone = gg, groupBounces, zone
	}
	return mails
}

// wrapped is a mail of the list that holds the author's.
func wrapped(t testing.TB, a author, l *letter) *letter {
	w := &letter{t: t, at: l.at, body: text("--===============5871234509812345678==", "Content-Type: message/rfc822", "MIME-Version: 1.0", "") + l.text() +
		text("", "--===============5871234509812345678==", `Content-Type: text/plain; charset="us-ascii"`, "MIME-Version: 1.0", "Content-Transfer-Encoding: 7bit", "Content-Disposition: inline", "",
			"_______________________________________________", "Gardeners mailing list", "--===============5871234509812345678==--")}
	w.add("Subject", "[Gardeners] "+l.get("Subject")).add("From", a.person+" via Gardeners <"+atMailman+">").add("To", atMailman).add("Reply-To", a.String()).
		add("Date", l.get("Date")).add("Message-ID", "<mailman.17.1795345084.2231.gardeners@lists.seedswap.example>").add("MIME-Version", "1.0").
		add("Content-Type", `multipart/mixed; boundary="===============5871234509812345678=="`)
	return mailman2(w)
}
