package desk

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"postern/quarantine"
)

// watch sees all that a browser does that it should not do.
type watch struct {
	mu      sync.Mutex
	asked   map[string]bool // for requests that left the desk
	dialogs int
	seen    int      // requests in all, so that a deaf watch is noticed
	hits    []string // at the canary
	canary  string
}

// listen watches a browser.
func (w *watch) listen(t *testing.T, b *browser) {
	t.Helper()
	if err := chromedp.Listen(b, func(ev any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch e := ev.(type) {
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, b.base+"/") && !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "about:") {
				w.asked[u] = true
			}
			w.seen++
		case *page.EventJavascriptDialogOpening:
			w.dialogs++
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// newWatch starts a server that nobody should ever ask.
func newWatch(t *testing.T) *watch {
	t.Helper()
	w := &watch{asked: map[string]bool{}}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.hits = append(w.hits, r.URL.String())
	}))
	t.Cleanup(srv.Close)
	w.canary = srv.URL
	return w
}

// quiet fails the test where anything was done.
func (w *watch) quiet(t *testing.T, b *browser) {
	t.Helper()
	if b != nil { // what it says comes by the way that the watch listens to
		if ran := b.ask("window.top.name"); ran != "" {
			t.Errorf("a script ran: %q", ran)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.hits) > 0 || w.dialogs > 0 {
		t.Errorf("%d requests reached a stranger: %.300q; %d dialogs", len(w.hits), w.hits, w.dialogs)
	}
	for u := range w.asked {
		t.Errorf("a request left the desk: %.200s", u)
	}
	if b != nil && w.seen == 0 {
		t.Error("no request was seen at all: the watch is deaf")
	}
}

// shown are the payloads that were seen where they should be, by sink.
type shown map[string]map[string]bool

var marks = regexp.MustCompile(`mk([a-z]+)Q(\d+)\.`)

func (s shown) see(b *browser) {
	for _, m := range marks.FindAllStringSubmatch(b.ask("document.documentElement.outerHTML"), -1) {
		if s[m[1]] == nil {
			s[m[1]] = map[string]bool{}
		}
		s[m[1]][m[2]] = true
	}
}

// all fails the test unless each sink has shown n payloads, and says how many there were.
func (s shown) all(t *testing.T, n int, sinks ...string) {
	t.Helper()
	sum := 0
	for _, sink := range sinks {
		sum += len(s[sink])
		if len(s[sink]) != n {
			t.Errorf("%s has shown %d of %d payloads", sink, len(s[sink]), n)
		}
	}
	t.Logf("seed %d: %d sinks x %d payloads, %d shown", seed, len(sinks), n, sum)
}

// many is how many payloads each sink gets.
const many = 300

func sink(name, canary string) []string { return payloads(seed, many, canary, "mk"+name+"Q") }

// TestHK01 has strangers' texts of every kind on the pages of held mail, in a real browser: each
// is seen as text, none runs, nothing is loaded.
func TestHK01(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	in := newInner(t, nil)
	single := map[string][]string{}
	names := []string{"subject", "from", "to", "helo", "host", "login", "reply", "describe", "detail", "unchecked", "answer", "releaser", "av", "symbol"}
	for _, name := range names {
		single[name] = sink(name, w.canary)
	}
	var ids []string
	for i := range many {
		p := func(name string) string { return single[name][i] }
		h := in.hold(i, "Subject: x\r\n\r\nx", func(h *quarantine.Hold) {
			h.Subject, h.From, h.To, h.Reply, h.AV = p("subject"), p("from"), []string{p("to")}, p("reply"), p("av")
			h.Client = quarantine.Client{IP: "192.0.2.1", Helo: p("helo"), Name: p("host"), Account: p("login")}
			h.Reasons = []quarantine.Reason{{Symbol: p("symbol"), Describe: p("describe"), Detail: p("detail"), Score: 100}}
			h.Unchecked = []quarantine.Unchecked{{Step: "x", Reason: p("unchecked")}}
		})
		got, err := in.store.Get(t.Context(), h.ID)
		if err != nil {
			t.Fatal(err)
		}
		got.State, got.Release = quarantine.Refused, &quarantine.Release{By: p("releaser"), At: time.Now(), Failure: p("answer")}
		if _, err := in.store.Change(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, h.ID)
	}
	b := in.browse("en")
	b.signIn("olga")
	seen := shown{}
	w.listen(t, b)
	for _, id := range ids {
		b.do(navigate(b.base + "/held/" + id))
		seen.see(b)
	}
	seen.all(t, many, names...)
	list := shown{}
	for next := "/held"; next != ""; {
		b.do(navigate(b.base + next))
		list.see(b)
		next = b.ask(`(document.querySelector("a[rel=next]") || {getAttribute: () => ""}).getAttribute("href")`)
	}
	list.all(t, many, "subject", "from", "to", "symbol", "describe")
	w.quiet(t, b)
}

// TestHK01Content has them in the message itself: text, header fields, names of files, links.
func TestHK01Content(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	in := newInner(t, nil)
	b := in.browse("en")
	b.signIn("olga")
	seen := shown{}
	w.listen(t, b)
	names := []string{"text", "field", "messageid", "file", "url", "linktext", "received"}
	at := map[string][]string{}
	for _, name := range names {
		at[name] = sink(name, w.canary)
	}
	flat := strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ").Replace
	const each = 25
	for from := 0; from < many; from += each {
		var head, parts strings.Builder
		for i := from; i < from+each; i++ {
			fmt.Fprintf(&head, "X-Field: %s\r\nMessage-ID: <%s>\r\nReceived: from %s by x with y; z\r\n", flat(at["field"][i]), flat(at["messageid"][i]), strings.ReplaceAll(flat(at["received"][i]), " ", "\u00a0"))
			fmt.Fprintf(&parts, "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: attachment; filename*=utf-8''mkfileQ%d.%s\r\n\r\n%s\r\n", i, percent(at["file"][i]), flat(at["text"][i]))
			fmt.Fprintf(&parts, "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<a href=\"http://l%d.example/?%s\">%s</a>\r\n", i, percent(at["url"][i]), escape(at["linktext"][i]))
		}
		h := in.hold(from, head.String()+"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+parts.String()+"--b--\r\n", func(*quarantine.Hold) {})
		for _, tab := range []string{"text", "headers", "parts", "links"} {
			b.do(navigate(b.base + "/held/" + h.ID + "?tab=" + tab))
			seen.see(b)
		}
	}
	seen.all(t, many, names...)
	w.quiet(t, b)
}

func percent(s string) string {
	var out strings.Builder
	for _, c := range []byte(s) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;").Replace(s)
}

// TestHK02 has them as the HTML of a message, in the frame of the page and as a page of its own.
func TestHK02(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	in := newInner(t, nil)
	b := in.browse("en")
	b.signIn("olga")
	seen := shown{}
	w.listen(t, b)
	for i, p := range sink("html", w.canary) {
		body := base64.StdEncoding.EncodeToString([]byte("<p>" + p + "</p><p>mkendQ" + fmt.Sprint(i) + ".</p>"))
		h := in.hold(i, "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"+body+"\r\n", func(*quarantine.Hold) {})
		b.do(navigate(b.base + "/held/" + h.ID + "/html"))
		seen.see(b)
		if left := b.ask(`document.querySelectorAll("script,iframe,object,embed,link,meta:not([charset]),base,form,svg,math,a,style,[href],[srcset],[onerror],[onload],[onfocus]").length`); left != "0" {
			t.Errorf("payload %d leaves %s things that could act", i, left)
		}
		if i%10 == 0 {
			b.do(navigate(b.base+"/held/"+h.ID+"?tab=html"), visible("iframe.preview"))
		}
	}
	t.Logf("%d of %d payloads left text that is shown, the others were taken out whole", len(seen["html"]), many)
	if n := len(seen["html"]) + len(seen["end"]); n == 0 {
		t.Error("nothing was shown at all")
	}
	w.quiet(t, b)
}

// TestHK03 has links that are scripts, carry pages, or name parts of other messages: there is
// nothing to click, and no address that leads anywhere without a page in between.
func TestHK03(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil)
	var links strings.Builder
	for i, to := range []string{"javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,<script>alert(1)</script>", "cid:part@other", "vbscript:x", "file:///etc/passwd", "http://u:p@evil.example/", "//evil.example/x", "http://ok.example/a"} {
		fmt.Fprintf(&links, "<a href=\"%s\">link %d</a>\r\n", escape(to), i)
	}
	h := in.hold(0, "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"+links.String(), func(*quarantine.Hold) {})
	r := in.reader("olga")
	hrefs := regexp.MustCompile(`href="([^"]*)"`)
	outside := 0
	paths := []string{"/held/" + h.ID, "/held/" + h.ID + "?tab=links", "/held/" + h.ID + "?tab=html", "/held/" + h.ID + "/html"}
	for n := range 12 {
		paths = append(paths, fmt.Sprintf("/held/%s/link/%d", h.ID, n))
	}
	for _, path := range paths {
		_, body := r.get(path)
		for _, m := range hrefs.FindAllStringSubmatch(body, -1) {
			switch {
			case m[1] == "http://ok.example/a" && strings.Contains(path, "/link/"):
				outside++
			case !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//"):
				t.Errorf("%s leads to %s", path, m[1])
			}
		}
	}
	if outside != 1 {
		t.Errorf("%d links to the web can be followed, not the one", outside)
	}
	for _, path := range []string{"/held/" + h.ID + "/part/cid:part@other", "/held/" + h.ID + "/link/99", "/held/" + h.ID + "/link/-1", "/held/" + h.ID + "/link/x"} {
		if code, _ := r.get(path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}

// TestHK04 has attachments that a browser would show if it could.
func TestHK04(t *testing.T) {
	t.Parallel()
	in := newInner(t, nil)
	var parts strings.Builder
	kinds := []string{"text/html", "image/svg+xml", "application/xhtml+xml", "text/xml", "application/pdf", "text/plain", "application/javascript", "multipart/x", "image/png", "nonsense"}
	for i, kind := range kinds {
		fmt.Fprintf(&parts, "--b\r\nContent-Type: %s; name=\"x%d.html\"\r\nContent-Disposition: inline\r\n\r\n<html><script>alert(1)</script>\r\n", kind, i)
	}
	h := in.hold(0, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+parts.String()+"--b--\r\n", func(*quarantine.Hold) {})
	r := in.reader("olga")
	_, page := r.get("/held/" + h.ID + "?tab=parts")
	found := regexp.MustCompile(`href="(/held/[^"]*/(?:part/[^"]*|raw))"`).FindAllStringSubmatch(page, -1)
	if len(found) < len(kinds) {
		t.Errorf("%d parts to take home, of %d", len(found), len(kinds))
	}
	for _, m := range found {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.url+m[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		code, _, head := r.do(req)
		if code != 200 || head.Get("Content-Type") != "application/octet-stream" || head.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.HasPrefix(head.Get("Content-Disposition"), "attachment;") || !strings.HasPrefix(head.Get("Content-Security-Policy"), "sandbox") || strings.Contains(head.Get("Content-Disposition"), ".html\"") {
			t.Errorf("%s: %d %v", m[1], code, head)
		}
	}
}

// TestHK10 has mail full of addresses inside: the server asks for none of them.
func TestHK10(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	in := newInner(t, nil)
	var b strings.Builder
	for i, host := range []string{w.canary, strings.Replace(w.canary, "127.0.0.1", "localhost", 1), "http://169.254.169.254/latest/meta-data", "http://[::1]:1/"} {
		fmt.Fprintf(&b, "<a href=\"%s/a%d\">x</a><img src=\"%[1]s/b%[2]d\"><link rel=stylesheet href=\"%[1]s/c%[2]d\">\r\n", host, i)
	}
	h := in.hold(0, "List-Unsubscribe: <"+w.canary+"/u>\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n"+b.String(), func(*quarantine.Hold) {})
	r := in.reader("olga")
	for _, path := range []string{"", "?tab=html", "?tab=links", "?tab=headers", "?tab=parts", "/html", "/raw", "/part/1", "/link/0", "/link/1", "/link/2", "/link/3"} {
		if code, body := r.get("/held/" + h.ID + path); code != 200 && code != 404 {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	w.quiet(t, nil)
}
