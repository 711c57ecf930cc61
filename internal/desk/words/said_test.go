package words

import (
	"testing"

	"postern/internal/said"
)

func TestSaid(t *testing.T) {
	b := open(t)
	hint := said.Say("yaml.did-you-mean", "; did you mean %q?", "like", "score")
	for _, c := range []struct {
		lang string
		w    said.Words
		want string
		ok   bool
	}{
		{"en", said.Say("list.hours-1-to", "hours: 1 to %d", "most", 720), "hours: 1 to 720", true},
		{"ru", said.Say("list.hours-1-to", "hours: 1 to %d", "most", 720), "часы: от 1 до 720", true},
		{"zh-CN", said.Say("yaml.unknown-key", "unknown key %q%s", "name", "scroe", "hint", hint), `未知的键 "scroe"；是否指 "score"？`, true},
		{"el", said.Say("yaml.unknown-key", "unknown key %q%s", "name", "x", "hint", said.Words{}), `άγνωστο κλειδί "x"`, true},
		{"ru", said.Say("case.cannot-be-it-has-no-category", "%s cannot be %s: it has no category", "id", "A-1", "state", "VERIFIED"), "A-1 не может стать «подтверждено»: нет категории", true},
		{"en", said.Say("case.cannot-be-it-has-no-category", "%s cannot be %s: it has no category", "id", "A-1", "state", "VERIFIED"), "A-1 cannot be VERIFIED: it has no category", true},
		{"zh-CN", said.Say("guarantee.is", "%s is %s", "id", "g-1", "state", "refused"), "g-1 的状态为：已拒绝", true},
		{"ru", said.Say("access.role", "a %s does not make this call", "role", "auditor"), "для роли «аудитор» это действие недоступно", true},
		{"ru", said.Say("note.clock", "%d %% of %s is gone, due %s", "percent", 80, "clock", "T_first", "due", "2026-06-08T12:00:00Z"), "прошло 80 % срока «Первое решение», истекает 08.06.2026 12:00 UTC", true},
		{"zh-CN", said.Say("note.nobody-told", "nobody was told: %s", "why", said.Say("barred.no-contact", "no contact was found")), "未通知任何人：未找到联系方式", true},
		{"el", said.Say("note.abuse-half-open", "abuse came while it was half open: %s %s", "ground", "trap", "ref", "x"), "ήρθε κατάχρηση ενώ ήταν ημιανοιχτό: Έγραψε σε παγίδα x", true},
		{"ru", said.Say("no.such", "as it is"), "as it is", false},
		{"ru", said.Words{English: "an old sentence"}, "an old sentence", false},
	} {
		l, _ := b.Language(c.lang)
		got, ok := l.Said(c.w)
		if ok != c.ok && c.want != "" || c.want != "" && got != c.want {
			t.Errorf("%s %s: %q %t, want %q", c.lang, c.w.Code, got, ok, c.want)
		}
	}
}
