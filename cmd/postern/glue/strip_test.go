package glue_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"postern/filter"
	"postern/internal/mailtest"
	"postern/internal/smtpd"
)

// infectedMail is a mail of the table. parts are the infected ones; what stands in the mail
// where part i was is left to the caller, so that the oracle can write down the stripped mail
// without taking any apart.
type infectedMail struct {
	name  string
	mail  func(part func(i int, entity string) string) string
	parts []string
	files []string // their names
	whole bool     // never stripped: held
	dies  func(stream []byte) bool
}

// attached is a body part that holds content.
func attached(name string, content []byte) string {
	return "Content-Type: application/octet-stream; name=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n" +
		"Content-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + inBase64(content)
}

const hello = "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello, see below"

// mixedMail is a mail of these parts.
func mixedMail(fields string, parts ...string) string {
	return "From: a@sender.example\r\nTo: b@example.com\r\nSubject: files\r\n" + fields + "MIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed; boundary=\"--=b1\"\r\n\r\npreamble\r\n----=b1\r\n" + strings.Join(parts, "\r\n----=b1\r\n") + "\r\n----=b1--\r\n"
}

func infectedMails(t testing.TB) []infectedMail {
	evil := attached("evil.dat", mailtest.EICAR())
	good := attached("good.dat", []byte("all is well"))
	one := func(part func(int, string) string) string { return mixedMail("", hello, part(0, evil), good) }
	isLeaf := func(stream []byte) bool { return !bytes.HasPrefix(stream, []byte("From:")) }
	return []infectedMail{
		{name: "one part", mail: one, parts: []string{"1.2"}, files: []string{"evil.dat"}},
		{name: "two parts", parts: []string{"1.1", "1.3"}, files: []string{"a.dat", "evil.dat"}, mail: func(part func(int, string) string) string {
			return mixedMail("", part(0, attached("a.dat", mailtest.EICAR())), hello, part(1, evil), good)
		}},
		{name: "single part", parts: []string{"1"}, files: []string{"evil.dat"}, mail: func(part func(int, string) string) string {
			if p := part(0, ""); p != "" {
				return "From: a@sender.example\r\nSubject: one file\r\nMIME-Version: 1.0\r\n" + p + "\r\n"
			}
			return "From: a@sender.example\r\nContent-MD5: x\r\nSubject: one file\r\n" + evil + "\r\n"
		}},
		{name: "nested message", parts: []string{"1.2.1.2"}, files: []string{"evil.dat"}, mail: func(part func(int, string) string) string {
			inner := strings.ReplaceAll(mixedMail("", hello, part(0, evil), good), "--=b1", "inner")
			return mixedMail("", hello, "Content-Type: message/rfc822\r\n\r\n"+strings.TrimSuffix(inner, "\r\n"), good)
		}},
		{name: "inside an archive", parts: []string{"1.2"}, files: []string{"evil.zip"}, mail: func(part func(int, string) string) string {
			return mixedMail("", hello, part(0, attached("evil.zip", zippedUp(t, "e.dat", mailtest.EICAR()))), good)
		}},
		{name: "the whole only", whole: true, mail: func(func(int, string) string) string { return mixedMail("X-Whole: evil\r\n", hello, good) }},
		{name: "ambiguous", whole: true, mail: func(func(int, string) string) string {
			return strings.Replace(mixedMail("", hello, evil, good), "boundary=\"--=b1\"", "boundary=\"--=b1\"; boundary=\"--=b2\"", 1)
		}},
		{name: "no closing delimiter", whole: true, mail: func(func(int, string) string) string {
			return strings.TrimSuffix(mixedMail("", hello, evil, good), "----=b1--\r\n")
		}},
		{name: "clamd dies while locating", whole: true, dies: isLeaf, mail: one},
		{name: "clamd dies at the second scan", whole: true, mail: one, dies: func(s []byte) bool { return bytes.Contains(s, []byte("malware was found")) }},
		{name: "still infected", whole: true, mail: func(func(int, string) string) string { return mixedMail("X-Whole: evil\r\n", hello, evil, good) }},
	}
}

// stripped is the mail as it should leave: the oracle's own words.
func (k infectedMail) stripped(keep bool) string {
	return k.mail(func(i int, _ string) string {
		text := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Disposition: inline\r\n\r\n" +
			"A part of this message was removed because malware was found in it.\r\n\r\n  Name:  " + k.files[i] + "\r\n  Found: Eicar-Test-Signature\r\n\r\n" +
			"What is not marked like this is as it was sent.\r\n"
		if keep {
			text += "The message as it was sent is kept for a while.\r\n"
		}
		text += "If you need what was removed, ask the sender whether it was meant for\r\nyou, and then your postmaster. Reference: " + reference + "\r\n"
		if k.parts[i] == "1" {
			text = strings.TrimSuffix(text, "\r\n")
		}
		return text
	})
}

func (k infectedMail) original() string {
	return k.mail(func(_ int, entity string) string { return entity })
}

// becomes is what a policy makes of a mail for one recipient: "original", "stripped", "held" or
// "refused", and whether a copy is to be kept whatever happens.
func (k infectedMail) becomes(policy string) (fate string, keep bool) {
	word := strings.Split(policy, "-")
	if word[0] == "blind" {
		return "original", false
	}
	keep = word[2] == "keep"
	switch word[1] {
	case "reject":
		return "refused", keep
	case "quarantine":
		return "held", keep
	case "tag":
		return "original", keep
	}
	if k.whole {
		return "held", keep
	}
	return "stripped", keep
}

// TestAntivirusTable is every mail for every policy, alone, twice, beside every other policy,
// and by threes.
func TestAntivirusTable(t *testing.T) {
	names, set := antivirusPolicies(t)
	var n atomic.Int64
	t.Cleanup(func() { t.Logf("%d mails", n.Load()) })
	for _, k := range infectedMails(t) {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			clamd := startScanning(t)
			p := lookingIntoFiles(scanner(t, clamd.endpoint))
			if k.dies != nil {
				clamd.dies.Store(k.dies)
			}
			report := p.Run(t.Context(), filter.OnData, messageOf(k.original(), names[0]))
			if len(report.Failures) > 0 {
				t.Fatalf("%+v", report.Failures)
			}
			run := func(policies ...string) {
				n.Add(1)
				w, d := newMailroom(set, p)
				m := messageOf(k.original(), policies...)
				o := d.Deliver(t.Context(), smtpd.Delivery{Message: m, Report: report})
				if complaint := k.judged(w, o, policies); complaint != "" {
					t.Fatalf("%v: %s\n%s %+v", policies, complaint, o.Reply, o.Fates)
				}
			}
			for _, a := range names {
				run(a)
				for _, b := range names {
					run(a, b)
				}
			}
			r := rand.New(rand.NewPCG(1, uint64(len(k.name))))
			for range 150 {
				run(names[r.IntN(len(names))], names[r.IntN(len(names))], names[r.IntN(len(names))])
			}
		})
	}
}

// judged holds what happened against what should have; "" is as it should be.
func (k infectedMail) judged(w *mailroom, o filter.Outcome, policies []string) string {
	var holds []string
	refused, evidence := 0, ""
	for i, policy := range policies {
		to := fmt.Sprintf("r%d@%s.example", i, policy)
		fate, keep := k.becomes(policy)
		sent, want := w.sent[to], ""
		switch fate {
		case "refused":
			refused++
			holds = append(holds, "rejected-beside "+to)
		case "held":
			holds = append(holds, "quarantine "+to)
		case "original":
			want = k.original()
		case "stripped":
			want = k.stripped(keep)
		}
		if keep && fate == "stripped" && !strings.HasSuffix(evidence, "!") {
			evidence = to + "!"
		} else if keep && fate != "held" && evidence == "" && (fate != "refused" || len(policies) == refused) {
			evidence = to
		}
		if want == "" != (len(sent) == 0) || len(sent) > 1 || len(sent) == 1 && sent[0].body != want {
			return fmt.Sprintf("%s (%s) got %q, want %q", to, fate, sent, want)
		}
		if len(sent) == 1 && strings.Contains(sent[0].block, "X-Postern-Stripped: "+strings.Join(k.parts, ", ")+"\r\n") != (fate == "stripped") {
			return "the header of " + to + " is " + sent[0].block
		}
	}
	if refused == len(policies) {
		holds = nil
		evidence = ""
		for i, policy := range policies {
			if _, keep := k.becomes(policy); keep && evidence == "" {
				evidence = fmt.Sprintf("r%d@%s.example", i, policy)
			}
		}
	}
	if evidence != "" {
		holds = append(holds, "evidence "+strings.TrimSuffix(evidence, "!"))
	}
	if class := map[bool]byte{true: '5', false: '2'}[refused == len(policies)]; o.Reply[0] != class {
		return "the sender was told something else"
	}
	return k.held(w, o, holds)
}

// held compares what is kept, all of it as it came, and what the outcome says of the parts.
func (k infectedMail) held(w *mailroom, o filter.Outcome, want []string) string {
	var got []string
	for _, h := range w.holds {
		if h.confirmed {
			got = append(got, h.class+" "+h.to)
		}
		if h.body != k.original() || !h.confirmed {
			return fmt.Sprintf("hold %+v", h)
		}
		failed := slices.ContainsFunc(h.verdict.Reasons, func(r filter.Reason) bool { return r.Symbol == "STRIP_FAILED" && r.Detail != "" })
		if failed && (!k.whole || h.verdict.Action != filter.Quarantine || len(h.verdict.Strip) > 0) {
			return fmt.Sprintf("verdict %+v", h.verdict)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Sprintf("kept %v, want %v", got, want)
	}
	for i, f := range o.Fates {
		fate, _ := k.becomes(o.Verdicts[i].Policy)
		if (len(o.Verdicts[i].Strip) > 0) != (fate == "stripped") || (f.State == filter.Delivered) != (fate == "stripped" || fate == "original") {
			return fmt.Sprintf("%s is told %s, strip %v", f.Recipient, f.State, o.Verdicts[i].Strip)
		}
	}
	return ""
}
