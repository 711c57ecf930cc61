package desk

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"postern/internal/control"
)

// TestHK01Outside has strangers' texts in all that the pages about the outside show, in a real
// browser: each is seen as text, none runs, nothing is loaded.
func TestHK01Outside(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	in := newInner(t, nil)
	at := map[string][]string{}
	now, from := time.Now().UTC(), 0
	const each = 50
	p := func(name string, i int) string {
		if at[name] == nil {
			at[name] = sink(name, w.canary)
		}
		return at[name][i]
	}
	some := func(f func(i int) any) (out []any) {
		for i := from; i < from+each; i++ {
			out = append(out, f(i))
		}
		return out
	}
	type m = map[string]any
	answer := func(name string, f func() any) {
		control.Handle(in.calls, name, func(context.Context, json.RawMessage) (any, error) { return f(), nil })
	}
	answer("source.list", func() any {
		return m{"sources": some(func(i int) any {
			return m{"case": "A-1", "state": "BLOCKED", "ip": "192.0.2.1", "domain": p("signer", i), "held": true, "block": m{"value": p("value", i), "until": now}}
		})}
	})
	answer("source.show", func() any {
		return m{
			"source": m{"account": p("account", from), "signs": some(func(i int) any { return m{"ground": p("ground", i), "ref": p("ref", i), "by": p("signby", i)} })},
			"case":   m{"id": "A-1", "state": "HALF_OPEN", "source": m{"ip": "192.0.2.1", "helo": p("helo", from)}, "evidence": some(func(i int) any { return m{"name": p("evidence", i), "sha256": "0"} })},
			"notices": some(func(i int) any {
				return m{"state": "failed", "to": p("contact", i), "way": p("way", i), "why": p("bounce", i), "tried": []string{p("tried", i)}}
			}),
		}
	})
	answer("source.preview", func() any {
		return m{"block": m{"scope": "ip", "value": "192.0.2.1"}, "examples": some(func(i int) any { return m{"id": "m", "from": p("from", i), "to": p("to", i)} })}
	})
	answer("published.show", func() any {
		return m{"list": "l", "state": "previewed", "added": some(func(i int) any { return p("added", i) }), "refused": some(func(i int) any { return m{"text": p("line", i), "why": p("linewhy", i)} }), "needs_person": some(func(i int) any { return p("person", i) })}
	})
	answer("listing.list", func() any {
		return m{"listings": some(func(i int) any { return m{"id": "l", "list": p("listname", i), "subject": p("subject", i)} }), "tests": some(func(i int) any { return m{"list": "x", "why": p("test", i)} })}
	})
	answer("listing.show", func() any {
		return m{"listing": m{"id": "l", "subject": "x", "list": "y", "codes": some(func(i int) any { return p("code", i) }), "draft": "x", "case": "A-1"}}
	})
	answer("case.timeline", func() any {
		return m{"timeline": some(func(i int) any { return m{"action": p("action", i), "text": p("note", i), "actor": p("actor", i)} })}
	})
	answer("notice.out", func() any {
		return m{"sent": some(func(i int) any {
			return m{"id": "x", "sort": "letter", "kind": p("kind", i), "state": "bounced", "to": p("sentto", i), "subject": p("sentsubject", i), "why": p("sentwhy", i), "by": p("sentby", i)}
		})}
	})
	answer("notice.message", func() any {
		var text strings.Builder
		for i := from; i < from+each; i++ {
			text.WriteString(p("senttext", i) + "\n")
		}
		return m{"id": "x", "sort": "report", "state": "bounced", "text": text.String(), "to": "x"}
	})
	answer("suppress.list", func() any {
		return m{"entries": some(func(i int) any {
			return m{"id": "s", "account": "a", "recipient": p("recipient", i), "reason": p("optout", i), "report": p("report", i)}
		})}
	})
	answer("feed.show", func() any { return m{"feed": m{"name": "isp"}, "trust": "believed"} })
	answer("complaint.list", func() any {
		return m{"complaints": some(func(i int) any { return m{"work": m{"reporter": p("reporter", i), "feedback": p("feedback", i)}} })}
	})
	b := in.browse("en")
	b.signIn("olga")
	seen := shown{}
	w.listen(t, b)
	for ; from < many; from += each {
		for _, path := range []string{"/outside", "/outside/source/A-1", "/outside/source/A-1/block", "/outside/published/x", "/outside/listings", "/outside/listings/l", "/notices", "/notices/x", "/suppressed", "/feeds/isp"} {
			b.do(navigate(b.base + path))
			seen.see(b)
		}
	}
	seen.all(t, many, "signer", "value", "ground", "ref", "signby", "evidence", "contact", "way", "bounce", "tried", "from", "to", "added", "line", "linewhy", "person", "listname", "subject", "test", "code", "action", "note", "actor",
		"kind", "sentto", "sentsubject", "sentwhy", "sentby", "senttext", "recipient", "optout", "report", "reporter", "feedback")
	w.quiet(t, b)
}
