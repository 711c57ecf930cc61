package e2e

import (
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/mailtest"
	"postern/test/world"
)

// lettersTo are what the desk wrote to an address, as they reached the server behind.
func lettersTo(b *mailtest.Backend, to string) []mailtest.Transaction {
	return slices.DeleteFunc(b.Transactions(), func(x mailtest.Transaction) bool { return !slices.Contains(x.To, to) })
}

// A person who is proved is answered in manners: here with the result at once, since the mail
// was not ours. A stranger without proof and a program get nothing.
func TestLettersOfTheDesk(t *testing.T) {
	t.Parallel()
	g, b := startBefore(t, mailtest.Script{}, plan{More: "egress: mail\nabuse: {answers: {zone: Asia/Shanghai, name: Example abuse desk}}\n"})
	sign := friendSigns(t, g)
	g.mustDeliver(t, 250, "abuse@example.com", letterFrom("Nobody <nobody@other.example>", "Nobody stands behind this", "I got spam from ann@example.com"))
	auto := strings.Replace(letter("I am a program", "spam from ann@example.com"), "MIME-Version", "Auto-Submitted: auto-generated\r\nMIME-Version", 1)
	g.mustDeliver(t, 250, "abuse@example.com", sign(auto))
	g.mustDeliver(t, 250, "abuse@example.com", sign(letter("Spam from you", "I got spam from ann@example.com, please stop it")))
	complaints(t, g, 3)
	var all []mailtest.Transaction
	world.Await(t, "a letter", 20*time.Second, func() bool {
		all = b.Transactions()
		return len(all) > 0
	})
	if len(all) != 1 || all[0].From != "" {
		t.Fatalf("%d letters", len(all))
	}
	m, err := mail.ReadMessage(strings.NewReader(string(all[0].Body)))
	if err != nil {
		t.Fatal(err)
	}
	to := all[0].To[0]
	for field, want := range map[string]string{"Auto-Submitted": "auto-replied", "Subject": "[A-", "In-Reply-To": "<" + sum("Spam from you")[:12] + "@friend.example>", "Reply-To": "@example.com", "From": "abuse@example.com"} {
		if !strings.Contains(m.Header.Get(field), want) {
			t.Errorf("%s: %s", field, m.Header.Get(field))
		}
	}
	if !strings.Contains(m.Header.Get("Date"), "+0800") || !strings.Contains(string(all[0].Body), "forgery") || strings.Contains(string(all[0].Body), "ann@example.com") {
		t.Errorf("%s", all[0].Body)
	}
	// The address of the case is the desk's own: an answer to it is taken.
	alias := m.Header.Get("Reply-To")
	if text := g.mustDeliver(t, 250, alias, sign(letter("Re: your letter", "here are the headers"))); !strings.Contains(text, "taken by the abuse desk") {
		t.Errorf("an answer to %s: %s", alias, text)
	}
	answer := complaints(t, g, 4)[0]
	id := strings.Trim(strings.SplitN(m.Header.Get("Subject"), "]", 2)[0], "[")
	if len(answer.Work.Cases) != 1 || answer.Work.Cases[0] != id {
		t.Errorf("the answer went to %v, not %s", answer.Work.Cases, id)
	}
	if out := g.run(t, 0, "case", "show", id); !strings.Contains(out, "here are the headers") {
		t.Errorf("%s", out)
	}
	if n := len(lettersTo(b, to)); n != 1 {
		t.Errorf("%d letters to %s", n, to)
	}
}
