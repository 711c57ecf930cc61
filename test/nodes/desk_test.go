package nodes_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/smtp"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/abuse/appeal"
	"postern/abuse/cases"
	"postern/abuse/external"
	"postern/abuse/notice"
	"postern/abuse/notice/letter"
	"postern/cmd/postern/appeals"
	"postern/cmd/postern/casecalls"
	"postern/cmd/postern/noticecalls"
	"postern/cmd/postern/sourcecalls"
	"postern/internal/mailtest"
	"postern/test/rig"
	"postern/test/world"
)

var (
	aReference = regexp.MustCompile(`\(ref ([0-9a-z]{26})\)`)
	aToken     = regexp.MustCompile(`name="form" value="([^"]+)"`)
)

// asks is what a page on a node answers.
func asks(t *testing.T, c *http.Client, to string, form url.Values) (int, string) {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, to, strings.NewReader(form.Encode()))
	must(t, err)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := c.Do(r)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	must(t, err)
	return res.StatusCode, string(body)
}

// TestDeskOfTwoNodes: what one node was told, the desk works on at the other: an appeal, a source
// elsewhere, and the letter about a complaint.
func TestDeskOfTwoNodes(t *testing.T) {
	f, behind := fleet(t, at(single(t).Addr), 2, rig.Options{
		Listeners: `- {name: servers, kind: smarthost, addr: "127.0.0.1:0", networks: [127.0.0.0/8], account_header: X-Account}`,
		YAML:      "egress: mail\npublic: {addr: \"127.0.0.1:0\", url: \"http://mail.example.com\"}\n",
	})
	behind.Change(func(s *mailtest.Script) { s.Mailboxes = append(s.Mailboxes, "rita@isp.example") }) // all mail goes there
	one, two := f.Nodes[0], f.Nodes[1]
	appealOfTwo(t, one, two)
	sourceOfTwo(t, one, two)
	letterOfTwo(t, one, two)
}

// appealOfTwo has a sender ask at the page of one node, and the desk answer at the other.
func appealOfTwo(t *testing.T, one, two *rig.Rig) {
	t.Helper()
	err := send(one.Addr, rig.From, rig.Ada, "of the load, long lines")
	m := aReference.FindStringSubmatch(fmt.Sprint(err))
	if m == nil {
		t.Fatalf("no reference: %v", err)
	}
	jar, err := cookiejar.New(nil)
	must(t, err)
	c := &http.Client{Jar: jar, Timeout: time.Minute}
	page := func(r *rig.Rig) string { return "http://" + r.Addrs["public"] + "/r/" + m[1] }
	var token []string
	within(t, "the page of the refusal is there", time.Now(), func() bool {
		_, body := asks(t, c, page(one), nil)
		token = aToken.FindStringSubmatch(body)
		return token != nil
	})
	if code, body := asks(t, c, page(one), url.Values{"form": {token[1]}, "text": {"I am the bakery"}}); code != http.StatusOK {
		t.Fatalf("asking: %d %s", code, body)
	}
	var all appeal.Page
	two.Call("appeal.list", appeal.Query{}, &all)
	if len(all.Appeals) != 1 || all.Appeals[0].Text != "I am the bakery" {
		t.Fatalf("the other node has %+v", all)
	}
	two.Call("appeal.decide", appeal.Decision{Reference: m[1], State: appeal.Granted, Answer: "Please send it again"}, nil)
	var a appeal.Appeal
	one.Call("appeal.show", appeals.Of{Reference: m[1]}, &a)
	if a.State != appeal.Granted {
		t.Errorf("at the first it is %+v", a)
	}
	if code, body := asks(t, &http.Client{Timeout: time.Minute}, page(one), nil); code != http.StatusOK || !strings.Contains(body, "Please send it again") {
		t.Errorf("the sender reads: %d %s", code, body)
	}
}

// sourceOfTwo opens a source at one node and confirms it at the other.
func sourceOfTwo(t *testing.T, one, two *rig.Rig) {
	t.Helper()
	must(t, send(one.Addr, rig.From, rig.Ada, "of the load, dots"))
	var s sourcecalls.Shown
	one.Call("source.open", sourcecalls.Work{Hold: one.Holds()[0].ID, Reason: "it advertises"}, &s)
	two.Call("source.show", sourcecalls.Paging{ID: s.Case.ID}, &s)
	two.Call("source.confirm", sourcecalls.Work{ID: s.Case.ID, Evidence: s.Case.Evidence[0].Sum, Reason: "looked at"}, &s)
	var at sourcecalls.Shown
	one.Call("source.show", sourcecalls.Paging{ID: s.Case.ID}, &at)
	if at.Case.State != s.Case.State || at.Case.State == "DETECTED" || len(at.Source.Signs) != 2 || at.Source.Signs[1].Ground != external.Agent {
		t.Errorf("the first has %+v, the second %+v", at, s)
	}
}

// letterOfTwo drafts the answer to a complaint at one node and sends it at the other.
func letterOfTwo(t *testing.T, one, two *rig.Rig) {
	t.Helper()
	first, second := world.Signs(t, one.Internet, "isp.example"), world.Signs(t, two.Internet, "isp.example") // either may read it
	sign := func(raw string) string { return first(second(raw)) }
	for _, r := range []*rig.Rig{one, two} {
		must(t, r.Internet.Set("isp.example", "MX 10 mail.isp.example", "TXT v=spf1 ip4:127.0.0.1 -all"))
	}
	must(t, smtp.SendMail(one.Addr, nil, "rita@isp.example", []string{"abuse@example.com"}, []byte(sign(fmt.Sprintf("From: Rita <rita@isp.example>\r\nTo: abuse@example.com\r\nSubject: spam\r\nDate: %s\r\nMessage-ID: <%d@isp.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nSomebody of yours sends spam.\r\n",
		time.Now().Format(time.RFC1123Z), time.Now().UnixNano())))))
	var id string
	within(t, "the other node has the case", time.Now(), func() bool {
		var p casecalls.Page
		two.Call("case.list", map[string]any{"view": "all", "kind": cases.Local}, &p)
		if len(p.Cases) == 1 {
			id = p.Cases[0].ID
		}
		return id != ""
	})
	var n notice.Notice
	var why error
	defer func() {
		if t.Failed() {
			t.Logf("drafting: %v; the letter is %+v", why, n)
		}
	}()
	within(t, "the report is counted", time.Now(), func() bool {
		why = one.TryCall("notice.draft", noticecalls.Work{Case: id, Kind: letter.Kind("result"), Language: "en"}, &n)
		return why == nil
	})
	two.Call("notice.send", noticecalls.Work{ID: n.ID, Result: true}, &n)
	within(t, "the letter is sent", time.Now(), func() bool {
		one.Call("notice.show", noticecalls.Work{ID: n.ID}, &n)
		return n.State == notice.Sent
	})
}
