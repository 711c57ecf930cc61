package replay_test

import (
	"bytes"
	"strings"
	"testing"

	"postern/filter"
	"postern/rules/replay"
)

// kind is one kind of change, on one kind of message.
type kind struct {
	name         string
	before, next string // rules beside the default ones
	m            filter.Message
	found        []filter.Finding
	failed       []filter.Failure
	from, to     filter.Action
}

func symbols(names ...string) (out []filter.Finding) {
	for _, n := range names {
		out = append(out, filter.Finding{Symbol: n, Step: "some"})
	}
	return out
}

const worths = `symbols:
  K_ONE: {score: 1, describe: One}
  K_FIVE: {score: 5, describe: Five}
  K_TEN: {score: 10, describe: Ten}
  K_GOOD: {score: -4, describe: Good}
  K_NO: {action: reject, describe: No}
`

const quiet = worths + `patterns:
  - {id: OWN_HALF, describe: A part of something, in: subject, match: 'half', quiet: true}
composites:
  - {id: OWN_WHOLE, describe: The whole, when: OWN_HALF and K_FIVE, score: 6}
`

func kinds() []kind {
	to := func(names ...string) (out []filter.Recipient) {
		for _, n := range names {
			out = append(out, filter.Recipient{Address: n})
		}
		return out
	}
	change := func(old, next string) string { return strings.Replace(worths, old, next, 1) }
	outbound := filter.Message{Direction: filter.Outbound, Account: "olga@example.com"}
	virus := []filter.Finding{{Symbol: "VIRUS", Step: "clamav", Part: "1.2"}}
	types := []filter.Finding{{Symbol: "FILE_TYPE", Step: "attachments", Types: "exe program"}}
	strip := "policies:\n  default: {antivirus: {infected: strip}}\n"
	return []kind{
		{name: "a score", before: worths, next: change("score: 5", "score: 8"), found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "an action", before: worths, next: change("action: reject", "score: 1"), found: symbols("K_NO"), from: filter.Reject, to: filter.Accept},
		{name: "unless", before: worths, next: change("score: 10, describe: Ten", "score: 10, unless: K_GOOD, describe: Ten"), found: append(symbols("K_TEN"), symbols("K_GOOD", "K_FIVE")...), from: filter.Quarantine, to: filter.Accept},
		{name: "a composite", before: worths, next: worths + "composites:\n  - {id: K_BOTH, describe: Both, when: K_ONE and K_FIVE, score: 10}\n", found: symbols("K_ONE", "K_FIVE"), from: filter.Tag, to: filter.Reject},
		{name: "a composite of what is missing", before: worths, next: worths + "composites:\n  - {id: K_NOT, describe: Not, when: K_FIVE and not K_ONE, score: 10}\n", found: symbols("K_FIVE"), from: filter.Tag, to: filter.Reject},
		{name: "a threshold", before: worths, next: worths + "policies:\n  default: {tag: 1, greylist: off, quarantine: 5}\n", found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "the greylist", before: worths, next: worths + "policies:\n  default: {greylist: off}\n", found: symbols("K_FIVE", "GREY_NEW"), from: filter.Defer, to: filter.Tag},
		{name: "a known correspondent is asked for nothing", before: worths, next: change("score: 5", "score: 6"), found: symbols("K_FIVE", "GREY_NEW", "KNOWN_CORRESPONDENT"), from: filter.Accept, to: filter.Accept},
		{name: "a policy of a recipient", before: worths, next: worths + "policies:\n  hard: {quarantine: 4.5, greylist: off}\nrecipients:\n  ann@example.com: hard\n", m: filter.Message{To: to("ann+x@example.com")}, found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "a policy of somebody else", before: worths, next: worths + "policies:\n  hard: {quarantine: 4.5, greylist: off}\nrecipients:\n  ann@example.com: hard\n", m: filter.Message{To: to("ben@example.com", "ann@example.net")}, found: symbols("K_FIVE"), from: filter.Tag, to: filter.Tag},
		{name: "a policy of a domain", before: worths, next: worths + "policies:\n  hard: {quarantine: 4.5, greylist: off}\nrecipients:\n  \"*@*.example.com\": hard\n", m: filter.Message{To: to("ben@mail.example.com")}, found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "the worst of several recipients", before: worths, next: worths + "policies:\n  hard: {quarantine: 4.5, greylist: off}\nrecipients:\n  ann@example.com: hard\n", m: filter.Message{To: to("ben@example.com", "ann@example.com")}, found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "a policy of an account", before: worths, next: worths + "policies:\n  hard: {quarantine: 4.5, greylist: off}\naccounts:\n  olga@example.com: hard\n", m: outbound, found: symbols("K_FIVE"), from: filter.Tag, to: filter.Quarantine},
		{name: "what concerns one recipient", before: worths, next: change("score: 5", "score: 8"), m: filter.Message{To: to("ben@example.com", "ann@example.com")}, found: []filter.Finding{{Symbol: "K_FIVE", Step: "some", For: "ann@example.com"}, {Symbol: "K_ONE", Step: "some", For: "nobody@example.com"}}, from: filter.Tag, to: filter.Quarantine},
		{name: "a virus", before: worths, next: worths + "policies:\n  default: {antivirus: {infected: quarantine}}\n", found: virus, from: filter.Reject, to: filter.Quarantine},
		{name: "a virus in a part that can be left out", before: worths, next: worths + strip, found: virus, from: filter.Reject, to: filter.Tag},
		{name: "a virus that nobody can place", before: worths, next: worths + strip, found: []filter.Finding{{Symbol: "VIRUS", Step: "clamav"}}, from: filter.Reject, to: filter.Quarantine},
		{name: "no scanning", before: worths, next: worths + "policies:\n  default: {antivirus: {scan: false}}\n", found: virus, from: filter.Reject, to: filter.Accept},
		{name: "types of files", before: worths, next: worths + "policies:\n  default: {attachments: {refuse: [exe]}}\n", found: types, from: filter.Accept, to: filter.Reject},
		{name: "what is encrypted", before: worths, next: worths + "policies:\n  default: {encrypted: quarantine}\n", found: symbols("ENCRYPTED"), from: filter.Tag, to: filter.Quarantine},
		{name: "a wish of DMARC", before: worths, next: worths + "policies:\n  default: {dmarc: {reject: hold}}\n", found: symbols("DMARC_REJECT"), from: filter.Reject, to: filter.Quarantine},
		{name: "a wish that evidence softens", before: worths, next: worths + "policies:\n  default: {dmarc: {on_list: tag}}\n", found: symbols("DMARC_REJECT", "LIST_KNOWN"), from: filter.Quarantine, to: filter.Tag},
		{name: "a refusal while something could not be told", before: worths, next: change("score: 10", "score: 20"), found: symbols("K_TEN"), failed: []filter.Failure{{Step: "dns", OnError: filter.Accept}}, from: filter.Quarantine, to: filter.Quarantine},
		{name: "and where that is always so", before: worths, next: change("score: 10", "score: 20"), found: symbols("K_TEN"), failed: []filter.Failure{{Step: "dns", OnError: filter.Accept, Standing: true}}, from: filter.Quarantine, to: filter.Reject},
		{name: "a step that asks to wait", before: worths, next: change("score: 10", "score: 1"), found: symbols("K_TEN"), failed: []filter.Failure{{Step: "clamav", OnError: filter.Defer}}, from: filter.Defer, to: filter.Defer},
		{name: "a pattern that goes", before: own, next: "symbols: {}\n", found: []filter.Finding{{Symbol: "OWN_SHUT", Step: replay.StepPatterns}}, from: filter.Reject, to: filter.Accept},
		{name: "a quiet pattern is still a part", before: quiet, next: strings.Replace(quiet, "score: 6", "score: 20", 1), found: []filter.Finding{{Symbol: "OWN_HALF", Step: replay.StepPatterns, Quiet: true}, {Symbol: "K_FIVE", Step: "some"}}, from: filter.Quarantine, to: filter.Reject},
		{name: "a pattern that is quiet from now on", before: strings.Replace(quiet, "quiet: true", "quiet: false", 1), next: quiet, found: []filter.Finding{{Symbol: "OWN_HALF", Step: replay.StepPatterns}, {Symbol: "K_FIVE", Step: "some"}}, from: filter.Quarantine, to: filter.Quarantine},
		{name: "the most that content may do", before: worths, next: worths + "policies:\n  default: {most: tag}\n", found: symbols("K_TEN", "K_NO"), from: filter.Reject, to: filter.Tag},
	}
}

// TestKindsOfChanges: each comes to the verdicts that the whole message would come to.
func TestKindsOfChanges(t *testing.T) {
	for _, c := range kinds() {
		present, proposed := load(t, c.before), load(t, c.next)
		m := c.m
		m.ID, m.Body = strings.Repeat("0", 26), bytes.NewReader(nil)
		if m.To == nil {
			m.To = []filter.Recipient{{Address: "ann@example.com"}}
		}
		for i := range m.To {
			m.To[i].Policy = present.PolicyFor(m.To[i].Address)
			if m.Direction == filter.Outbound {
				m.To[i].Policy = present.AccountPolicy(m.Account)
			}
		}
		r := filter.Report{Findings: c.found, Failures: c.failed}
		verdicts := filter.Verdicts(present, &m, r)
		record, ok := replay.Of(&m, filter.Outcome{Report: r, Verdicts: verdicts})
		if !ok {
			t.Fatalf("%s: no record", c.name)
		}
		var block replay.Writer
		block.Add(record)
		err := replay.Each(block.Bytes(), func(one replay.Record) error {
			p := replay.New(present, proposed).Pair(one, replay.PrintsOf(present))
			if len(p.Asked) > 0 || p.NoBody || p.Unlike {
				t.Errorf("%s: %+v", c.name, p)
			}
			if got := worst(verdicts).Action; got != p.Before.Action || got != c.from && c.from != c.to {
				t.Errorf("%s: it came to %s, by features to %s, want %s", c.name, got, p.Before.Action, c.from)
			}
			if p.After.Action != c.to {
				t.Errorf("%s: to %s (%s), want %s", c.name, p.After.Action, p.After.Score, c.to)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}
