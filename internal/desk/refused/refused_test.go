package refused_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/links"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/refused"
	"postern/internal/desk/words"
)

const id = "01m82baay26sphsrhx6z78gxxs"

// ring is the one key of these tests.
type ring struct{}

func (ring) Derive(purpose string) (map[byte][]byte, byte) {
	sum := sha256.Sum256([]byte(purpose))
	return map[byte][]byte{1: sum[:]}, 1
}

type world struct {
	t     *testing.T
	h     http.Handler
	now   time.Time
	known refused.Refusal
	fail  error
	kept  []refused.Ask
}

func newWorld(t *testing.T) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Unix(1_900_000_000, 0).UTC()}
	w.known = refused.Refusal{Reference: id, At: w.now, Until: w.now.Add(time.Hour), Cause: "spf", Reply: "550 <script>alert(1)</script>"}
	clock, log := func() time.Time { return w.now }, slog.New(slog.DiscardHandler)
	kit, err := page.New(page.Options{Words: book, Now: clock, Log: log}, public.Pages, refused.Pages)
	if err != nil {
		t.Fatal(err)
	}
	room := &refused.Room{
		Kit: kit, Now: clock, Log: log, Forms: &links.Sealer{Keys: ring{}, Purpose: "appeal", Now: clock},
		Look: func(_ context.Context, reference string) (refused.Refusal, error) {
			if strings.ToLower(reference) != id {
				return refused.Refusal{}, refused.ErrUnknown
			}
			return w.known, nil
		},
		Keep: func(_ context.Context, a refused.Ask) error {
			if w.fail == nil {
				w.kept = append(w.kept, a)
			}
			return w.fail
		},
	}
	w.h = public.New(public.Options{Kit: kit, Rooms: []public.Room{room}, Now: clock})
	return w
}

func (w *world) do(method, path string, form url.Values, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, f := range edit {
		f(r)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

var aToken = regexp.MustCompile(`name="form" value="([^"]+)"`)

// token is that of a form that is opened now.
func (w *world) token() string {
	w.t.Helper()
	m := aToken.FindStringSubmatch(w.do("GET", "/r/"+id, nil).Body.String())
	if m == nil {
		w.t.Fatal("the page has no form")
	}
	return m[1]
}

func form(token, text string) url.Values {
	return url.Values{"form": {token}, "text": {text}, "email": {"ann@far.example"}}
}

func TestPage(t *testing.T) {
	w := newWorld(t)
	for lang, want := range map[string][]string{
		"en": {"Why your message was refused", "may not send mail for the sender’s domain", "add the sending server to its SPF record"}, "zh-CN": {"您的邮件为何被拒收", "无权代表发件人的域名发信", "SPF 记录"},
		"ru": {"Почему ваше письмо не приняли", "не вправе отправлять", "запись SPF"}, "el": {"Γιατί δεν έγινε δεκτό", "δεν επιτρέπεται να στέλνει", "εγγραφή SPF"},
	} {
		rec := w.do("GET", "/r/"+id, nil, func(r *http.Request) { r.Header.Set("Accept-Language", lang) })
		body := rec.Body.String()
		for _, s := range append(want, id, "&lt;script&gt;", `lang="`+lang+`"`) {
			if !strings.Contains(body, s) {
				t.Errorf("%s: %q is missing", lang, s)
			}
		}
		if rec.Code != http.StatusOK || strings.Contains(body, "<script>alert") || rec.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", lang, rec.Code, rec.Header())
		}
	}
	w.known.Temporary = true
	if body := w.do("GET", "/r/"+id+"?lang=en", nil).Body.String(); !strings.Contains(body, "was not taken yet") || !strings.Contains(body, "tries again by itself") {
		t.Error("a temporary refusal looks like one for good")
	}
}

// TestNothingThere: what was never given out, what is too old and what is noise look alike.
func TestNothingThere(t *testing.T) {
	w := newWorld(t)
	first := ""
	for _, ref := range []string{"01m82baay26sphsrhx6z78gxxt", "7zzzzzzzzzzzzzzzzzzzzzzzzz", "noise", strings.Repeat("x", 3000)} {
		rec := w.do("GET", "/r/"+ref, nil)
		body := strings.ReplaceAll(rec.Body.String(), ref, "REF")
		if first == "" {
			first = body
		}
		if rec.Code != http.StatusNotFound || body != first {
			t.Errorf("%.30s: %d, and it looks different", ref, rec.Code)
		}
		if rec := w.do("POST", "/r/"+ref, form(w.token(), "x")); rec.Code != http.StatusNotFound || len(w.kept) > 0 {
			t.Errorf("%.30s: %d", ref, rec.Code)
		}
	}
}

// TestEnter finds the reference in whatever people paste.
func TestEnter(t *testing.T) {
	w := newWorld(t)
	for typed, want := range map[string]string{
		id: "/r/" + id, " " + strings.ToUpper(id) + ".": "/r/" + id, "550 5.7.1 no (ref " + id + ")": "/r/" + id, "https://mail.example/r/" + id: "/r/" + id,
		"": "", "hello": "", id + "0": "", "<script>": "",
	} {
		rec := w.do("GET", "/r?ref="+url.QueryEscape(typed), nil)
		if rec.Header().Get("Location") != want || want == "" && rec.Code != http.StatusOK || strings.Contains(rec.Body.String(), "<script>") {
			t.Errorf("%q: %d %q", typed, rec.Code, rec.Header().Get("Location"))
		}
	}
	if to := w.do("GET", "/r?lang=el&ref="+id, nil).Header().Get("Location"); to != "/r/"+id+"?lang=el" {
		t.Error(to)
	}
	if !strings.Contains(w.do("GET", "/", nil).Body.String(), `href="/r"`) {
		t.Error("nothing leads to it")
	}
}

func TestAppeal(t *testing.T) {
	w := newWorld(t)
	f := form(w.token(), "line\r\ntwo")
	rec := w.do("POST", "/r/"+id+"?lang=ru", f)
	if to := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || to != "/r/"+id+"?done=yes&lang=ru" {
		t.Fatal(rec.Code, to, rec.Body)
	}
	if a := w.kept[0]; a.Reference != id || a.Text != "line\ntwo" || a.Email != "ann@far.example" || a.Language != "ru" || a.Network.String() != "192.0.2.1/32" {
		t.Errorf("%+v", a)
	}
	w.known.Appeal = &refused.Appeal{At: w.now, State: "open"}
	body := w.do("GET", "/r/"+id+"?done=yes&lang=en", nil).Body.String()
	if !strings.Contains(body, "A person will read this") || strings.Contains(body, "<textarea") {
		t.Error("after an appeal there is a form for another, or no thanks")
	}
	if rec := w.do("POST", "/r/"+id, f); rec.Code != http.StatusConflict || len(w.kept) != 1 {
		t.Error("a second one:", rec.Code)
	}
	w.known.Appeal = &refused.Appeal{At: w.now, State: "granted", Answer: "<i>Sorry</i>", Decided: w.now}
	if body := w.do("GET", "/r/"+id+"?lang=en", nil).Body.String(); !strings.Contains(body, "was granted") || !strings.Contains(body, "&lt;i&gt;Sorry") {
		t.Error("the answer is missing, or runs")
	}
}

// TestWhatIsRefusedStaysInTheForm, and nothing is kept of it.
func TestWhatIsRefusedStaysInTheForm(t *testing.T) {
	for name, c := range map[string]struct {
		edit   func(w *world, f url.Values)
		status int
	}{
		"no token":       {func(_ *world, f url.Values) { f.Del("form") }, 403},
		"noise":          {func(_ *world, f url.Values) { f.Set("form", "x") }, 403},
		"too late":       {func(w *world, _ url.Values) { w.now = w.now.Add(refused.FormLife) }, 403},
		"empty":          {func(_ *world, f url.Values) { f.Set("text", " \n ") }, 400},
		"long":           {func(_ *world, f url.Values) { f.Set("text", strings.Repeat("я", refused.MaxText+1)) }, 413},
		"very long":      {func(_ *world, f url.Values) { f.Set("text", strings.Repeat("x", refused.MaxBody)) }, 413},
		"a long address": {func(_ *world, f url.Values) { f.Set("email", strings.Repeat("a", 300)) }, 400},
		"a bad address":  {func(w *world, _ url.Values) { w.fail = refused.ErrEmail }, 400},
		"just now":       {func(w *world, _ url.Values) { w.fail = refused.ErrTwice }, 409},
		"full":           {func(w *world, _ url.Values) { w.fail = refused.ErrFull }, 503},
		"away":           {func(w *world, _ url.Values) { w.fail = errors.New("at 10.0.0.1") }, 503},
	} {
		w := newWorld(t)
		f := form(w.token(), `"><script>alert(1)</script>`)
		c.edit(w, f)
		rec := w.do("POST", "/r/"+id+"?lang=en", f)
		body := rec.Body.String()
		if rec.Code != c.status || len(w.kept) > 0 || !strings.Contains(body, `role="alert"`) || strings.Contains(body, "10.0.0.1") || strings.Contains(body, "<script>alert") {
			t.Errorf("%s: %d %s", name, rec.Code, body)
		}
		if c.status != 413 && name != "empty" && !strings.Contains(body, "&lt;script&gt;") {
			t.Errorf("%s: what was written is lost", name)
		}
	}
	w := newWorld(t)
	if rec := w.do("POST", "/r/"+id, form(w.token(), "x"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }); rec.Code != http.StatusForbidden || len(w.kept) > 0 {
		t.Error("from another site:", rec.Code)
	}
}

func TestFloods(t *testing.T) {
	w := newWorld(t)
	ask := func(from string) int {
		t.Helper()
		return w.do("POST", "/r/"+id, form(w.token(), "x"), func(r *http.Request) { r.RemoteAddr = from }).Code
	}
	for range refused.Burst {
		if code := ask("203.0.113.7:1"); code != http.StatusSeeOther {
			t.Fatal(code)
		}
	}
	if code := ask("203.0.113.7:2"); code != http.StatusTooManyRequests || len(w.kept) != refused.Burst {
		t.Errorf("one source: %d", code)
	}
	if code := ask("[2001:db8::1]:1"); code != http.StatusSeeOther {
		t.Errorf("another: %d", code)
	}
	w.now = w.now.Add(refused.Every)
	if code := ask("203.0.113.7:3"); code != http.StatusSeeOther {
		t.Errorf("later: %d", code)
	}
	n := 0
	for i := range 2 * refused.BurstAll {
		w.now = w.now.Add(time.Second) // the listener as a whole lets through more than that
		if ask(fmt.Sprintf("198.51.100.%d:1", i+1)) == http.StatusSeeOther {
			n++
		}
	}
	if n < refused.BurstAll || n > refused.BurstAll+2*refused.BurstAll/30+1 {
		t.Errorf("%d appeals in two minutes", n)
	}
}
