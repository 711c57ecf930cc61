package rules_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/work"
)

// long starts a long work and waits for its end.
func (g *gateway) long(path string, form url.Values) work.State {
	g.t.Helper()
	rec := g.ask("POST", path, form)
	id, ok := strings.CutPrefix(rec.Header().Get("Location"), "/work/")
	if rec.Code != http.StatusSeeOther || !ok {
		g.t.Fatalf("%s: %d %s", path, rec.Code, rec.Body)
	}
	for range 3000 {
		s, err := g.work.Show("olga", id)
		if err != nil {
			g.t.Fatal(err)
		}
		if !s.Running() {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
	g.t.Fatalf("%s does not end", path)
	return work.State{}
}

func TestTheChainOfTheAudit(t *testing.T) {
	for _, c := range []struct {
		name  string
		part  map[string]any
		fails error
		said  string
		bad   bool
		lines []string
	}{
		{name: "whole", part: map[string]any{"seq": 9, "last": 9, "over": true}, said: "The chain of 9 entries is unbroken.", lines: []string{"9 entries"}},
		{name: "broken", part: map[string]any{"seq": 4, "last": 9, "over": true, "broken": "entry 4 " + evil}, said: "The audit is not what was written.", bad: true, lines: []string{"entry 4 " + evil}},
		{name: "broken in what only the whole shows", part: map[string]any{"seq": 9, "last": 9, "over": true}, fails: &page.Error{Status: http.StatusConflict, Words: "the seal is another one"}, said: "The audit is not what was written.", bad: true, lines: []string{"the seal is another one"}},
	} {
		g := newGateway(t)
		g.answer("audit.part", c.part)
		g.answer("audit.verify", "9 entries")
		if c.fails != nil {
			g.fail("audit.verify", c.fails)
		}
		s := g.long("/rules/audit/verify", url.Values{})
		if !strings.HasPrefix(s.Result.Said, c.said) || s.Result.Bad != c.bad || !slices.Equal(s.Result.Lines, c.lines) {
			t.Errorf("%s: %+v", c.name, s.Result)
		}
	}
}

// TestAnExportOfTheAudit has all that a search finds, a page after another, each entry a line
// of its own as the gateway has it.
func TestAnExportOfTheAudit(t *testing.T) {
	g := newGateway(t)
	entry := func(seq int) map[string]any {
		return map[string]any{"seq": seq, "time": now, "actor": "olga", "action": "list-add", "object": "x\ny", "after": map[string]any{"value": evil}, "hash": "h"}
	}
	pages := []any{
		map[string]any{"last": 4, "next": 3, "entries": []any{entry(4), entry(3)}},
		map[string]any{"last": 4, "entries": []any{entry(2)}},
	}
	g.pages = map[string][]any{"audit.find": pages}
	s := g.long("/rules/audit/export", url.Values{"actor": {"olga"}, "before": {"3"}})
	if s.Result.Bad || s.Result.File == nil || s.Result.File.Name != "audit.jsonl" {
		t.Fatalf("%+v", s.Result)
	}
	var seqs []int
	for in := bufio.NewScanner(bytes.NewReader(s.Result.File.Body)); in.Scan(); {
		var e struct {
			Seq    int
			Object string
			After  struct{ Value string }
		}
		if err := json.Unmarshal(in.Bytes(), &e); err != nil || e.Object != "x\ny" || e.After.Value != evil {
			t.Errorf("%s: %v", in.Text(), err)
		}
		seqs = append(seqs, e.Seq)
	}
	if !slices.Equal(seqs, []int{4, 3, 2}) {
		t.Errorf("entries %v", seqs)
	}
	if want := []string{`audit.find {"actor":"olga","limit":500}`, `audit.find {"actor":"olga","before":3,"limit":500}`}; !slices.Equal(g.calls(), want) {
		t.Errorf("%q", g.calls())
	}
}

// TestLongWorksAreRefusedAtOnce and not out of the reader's sight.
func TestLongWorksAreRefusedAtOnce(t *testing.T) {
	for _, c := range []struct {
		name, path, deny string
		form             url.Values
		status           int
	}{
		{name: "who may not check", path: "/rules/audit/verify", deny: "audit.verify", status: http.StatusForbidden},
		{name: "who may not read", path: "/rules/audit/export", deny: "audit.find", status: http.StatusForbidden},
		{name: "no date", path: "/rules/audit/export", form: url.Values{"until": {"soon"}}, status: http.StatusBadRequest},
	} {
		g := newGateway(t)
		g.deny[c.deny] = true
		if rec := g.ask("POST", c.path, c.form); rec.Code != c.status || rec.Header().Get("Location") != "" {
			t.Errorf("%s: %d", c.name, rec.Code)
		}
		if len(g.calls()) != 0 {
			t.Errorf("%s: made %q", c.name, g.calls())
		}
	}
}

// TestPagesOfALongAudit: an audit of many years has great numbers.
func TestPagesOfALongAudit(t *testing.T) {
	for sent, want := range map[string]string{
		"7":                    `audit.find {"before":7,"limit":50}`,
		"123456789012":         `audit.find {"before":123456789012,"limit":50}`,
		"-3":                   `audit.find {"limit":50}`,
		"x":                    `audit.find {"limit":50}`,
		"99999999999999999999": `audit.find {"limit":50}`,
	} {
		g := newGateway(t)
		if rec := g.ask("GET", "/rules/audit?before="+sent, nil); rec.Code != http.StatusOK || !slices.Contains(g.calls(), want) {
			t.Errorf("before %s: %d %q", sent, rec.Code, g.calls())
		}
	}
}

func TestTheListOfRulesIsNarrowed(t *testing.T) {
	for query, want := range map[string][]string{
		"":                   {"HOUSE_ONE", "HOUSE_TWO", "VIRUS"},
		"q=house":            {"HOUSE_ONE", "HOUSE_TWO"},
		"q=a+virus":          {"VIRUS"},
		"state=off":          {"HOUSE_TWO"},
		"state=own":          {"HOUSE_ONE"},
		"state=on&q=house":   {"HOUSE_ONE"},
		"state=shadow":       nil,
		"q=no+such+rule+now": nil,
	} {
		body := newGateway(t).ask("GET", "/rules?"+query, nil).Body.String()
		var got []string
		for _, symbol := range []string{"HOUSE_ONE", "HOUSE_TWO", "VIRUS"} {
			if strings.Contains(body, `href="/rules/rule/`+symbol+`"`) {
				got = append(got, symbol)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q shows %q", query, got)
		}
	}
}

// TestHitsOfQuietRulesAreNotShown: no record names them, so that a number would be wrong.
func TestHitsOfQuietRulesAreNotShown(t *testing.T) {
	g := newGateway(t)
	g.answers["rules.list"] = map[string]any{"messages": 10, "rules": []any{
		map[string]any{"symbol": "HOUSE_ONE", "state": "on", "describe": "One", "hits": 77},
		map[string]any{"symbol": "HOUSE_PART", "state": "quiet", "describe": "Part", "hits": 88},
	}}
	list := g.ask("GET", "/rules", nil).Body.String()
	if !strings.Contains(list, "77") || strings.Contains(list, "88") || !strings.Contains(list, "part of others") {
		t.Error(list)
	}
	if body := g.ask("GET", "/rules?state=quiet", nil).Body.String(); strings.Contains(body, "HOUSE_ONE") || !strings.Contains(body, "HOUSE_PART") {
		t.Error(body)
	}
	for symbol, want := range map[string]bool{"HOUSE_ONE": false, "HOUSE_PART": true} {
		if body := g.ask("GET", "/rules/rule/"+symbol, nil).Body.String(); strings.Contains(body, "They are not counted") != want || strings.Contains(body, "88") {
			t.Errorf("%s: %s", symbol, body)
		}
	}
}

// TestRulesAreSaidAndFoundInTheReadersLanguage: a sentence of the default rules is translated,
// and found by its own words and by the English ones.
func TestRulesAreSaidAndFoundInTheReadersLanguage(t *testing.T) {
	g := newGateway(t)
	inRussian := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "postern-language", Value: "ru"}) }
	g.answers["rules.list"] = map[string]any{"rules": []any{
		map[string]any{"symbol": "VIRUS", "state": "on", "describe": "The message holds a virus"},
		map[string]any{"symbol": "SPF_FAIL", "state": "on", "describe": "Our own sentence"},
	}}
	ru, _ := g.book.Language("ru")
	said := ru.Say("symbols.VIRUS")
	for query, want := range map[string]bool{said[:len(said)/2]: true, "holds a virus": true, ru.Say("symbols.SPF_FAIL"): false, "own sentence": false} {
		body := g.ask("GET", "/rules"+string(page.Query("q", strings.ToValidUTF8(query, ""))), nil, inRussian).Body.String()
		if strings.Contains(body, "<br>"+said+"<") != want || strings.Contains(body, "<br>The message holds a virus") {
			t.Errorf("%q: shown %v", query, !want)
		}
	}
	if body := g.ask("GET", "/rules", nil, inRussian).Body.String(); !strings.Contains(body, "<br>Our own sentence<") {
		t.Error("an operator's own sentence is not shown as it is")
	}
}

func TestTheListsAreNarrowedAndAsked(t *testing.T) {
	g := newGateway(t)
	body := g.ask("GET", "/rules/lists?q=PETRA&after=1.2+%3Cm%3E", nil).Body.String()
	if !slices.Contains(g.calls(), `blocklist.list {"after":"1.2 \u003cm\u003e","limit":100,"text":"PETRA"}`) {
		t.Errorf("the lists are asked %q", g.calls())
	}
	for _, want := range []string{`value="block a@b.example all"`, "102 entries.", `rel="next" href="/rules/lists?after=1.2&#43;%3Cblock%3E&amp;q=PETRA"`, `href="/rules/lists?q=PETRA">First page`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	g.fail("greylist.list", &page.Error{Status: http.StatusConflict, Words: "there is no greylist"})
	if rec := g.ask("GET", "/rules/lists", nil); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "192.0.2.0/24") {
		t.Errorf("without a greylist: %d", rec.Code)
	}
	g.fail("greylist.list", errors.New("away"))
	if rec := g.ask("GET", "/rules/lists", nil); rec.Code != http.StatusInternalServerError {
		t.Errorf("with a greylist that fails: %d", rec.Code)
	}
	g = newGateway(t)
	g.fail("blocklist.why", &page.Error{Status: http.StatusBadRequest, Words: "neither an address nor a name: " + evil})
	if rec := g.ask("GET", "/rules/lists?why=%3F", nil); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "neither an address nor a name: &#34;") {
		t.Errorf("%d", rec.Code)
	}
	if rec := newGateway(t).ask("POST", "/rules/lists", url.Values{"act": {"test"}}); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "lists everything") {
		t.Errorf("a test of the lists: %d", rec.Code)
	}
	if rec := newGateway(t).ask("POST", "/rules/lists", url.Values{"act": {"burn"}}); rec.Code != http.StatusBadRequest {
		t.Errorf("an act that there is not: %d", rec.Code)
	}
}
