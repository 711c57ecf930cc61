package mine_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/links"
	"postern/internal/desk/mine"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/words"
	"postern/internal/mailtest/entities"
)

// ring is the one key of these tests.
type ring struct{}

func (ring) Derive(purpose string) (map[byte][]byte, byte) {
	sum := sha256.Sum256([]byte(purpose))
	return map[byte][]byte{1: sum[:]}, 1
}

type whoKey struct{}

// world is the pages over calls that answer as told.
type world struct {
	t       *testing.T
	h       http.Handler
	now     time.Time
	digests *links.Sealer
	enters  *links.Sealer
	made    []string // "who call id"
	asked   []string
	refused []string
	fail    error
	held    mine.Message
	cookie  *http.Cookie
}

// May implements page.Caller.
func (w *world) May(context.Context, string) bool { return true }

// Call implements page.Caller.
func (w *world) Call(ctx context.Context, name string, params, result any) error {
	raw, _ := json.Marshal(params)
	var of mine.Of
	_ = json.Unmarshal(raw, &of)
	who, _ := ctx.Value(whoKey{}).(string)
	if name != "recipient.show" && name != "recipient.list" {
		w.made = append(w.made, who+" "+name+" "+of.ID)
	}
	if who != of.Address || of.ID != "" && of.ID != w.held.ID {
		return &page.Error{Status: http.StatusNotFound, Words: "no such hold"}
	}
	var out any = map[string]string{"id": of.ID, "state": "released"}
	switch name {
	case "recipient.show":
		out = w.held
	case "recipient.list":
		out = mine.List{Holds: []mine.Held{w.held.Held}, Next: "more"}
	case "recipient.settings", "recipient.set":
		out = mine.Settings{Address: of.Address, Language: "en", Zone: "UTC", Hours: []int{8}}
	default:
		if w.fail != nil {
			return w.fail
		}
	}
	raw, _ = json.Marshal(out)
	return json.Unmarshal(raw, result)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Unix(1_900_000_000, 0)}
	w.held = mine.Message{Held: mine.Held{ID: "h-1", From: "<b>frank</b>@friend.example", Subject: "<script>alert(1)</script>", At: w.now, Expires: w.now.Add(time.Hour), Reason: "spam"}, Text: "http://evil.example <img src=x>", Files: []string{"<i>.exe"}}
	clock := func() time.Time { return w.now }
	seal := func(purpose string) *links.Sealer { return &links.Sealer{Keys: ring{}, Purpose: purpose, Now: clock} }
	w.digests, w.enters = seal("digest"), seal("enter")
	kit, err := page.New(page.Options{Words: book, Now: clock, Log: slog.New(slog.DiscardHandler)}, public.Pages, mine.Pages)
	if err != nil {
		t.Fatal(err)
	}
	room := &mine.Room{
		Kit: kit, Calls: w, Digests: w.digests, Enters: w.enters, Visits: seal("visit"), Used: links.NewUsed(&entities.Memory{}),
		As: func(ctx context.Context, address string) context.Context {
			return context.WithValue(ctx, whoKey{}, address)
		},
		Ask:     func(address, language string) { w.asked = append(w.asked, address+" "+language) },
		Refused: func(_ context.Context, address, what string) { w.refused = append(w.refused, address+" "+what) },
		Now:     clock, Log: slog.New(slog.DiscardHandler),
	}
	w.h = public.New(public.Options{Kit: kit, Rooms: []public.Room{room}, Now: clock})
	return w
}

func (w *world) do(method, path string, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if w.cookie != nil {
		r.AddCookie(w.cookie)
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, r)
	return rec
}

func (w *world) link(s *links.Sealer, who, act string) string {
	w.t.Helper()
	text, err := s.Seal(links.Link{For: who, Act: act, Of: "h-1", Expires: w.now.Add(mine.LinkLife), Once: act})
	if err != nil {
		w.t.Fatal(err)
	}
	return text
}

// TestHK06: a link shows and does nothing when it is opened; it acts by POST, once, for its
// recipient, message and act, and for seven days.
func TestHK06(t *testing.T) {
	w := newWorld(t)
	for _, act := range mine.Acts() {
		path := "/d/" + w.link(w.digests, "ada@example.com", act)
		w.made = nil
		for _, method := range []string{"GET", "HEAD", "GET"} { // scanners of mail
			if rec := w.do(method, path, nil); rec.Code != http.StatusOK || len(w.made) > 0 {
				t.Errorf("%s by %s: %d %v", act, method, rec.Code, w.made)
			}
		}
		for _, method := range []string{"PUT", "DELETE", "PATCH"} {
			if w.do(method, path, nil); len(w.made) > 0 {
				t.Errorf("%s by %s: %v", act, method, w.made)
			}
		}
		for range 3 {
			if rec := w.do("POST", path, url.Values{"act": {"other"}, "id": {"h-2"}}); rec.Code != http.StatusOK {
				t.Errorf("%s: %d", act, rec.Code)
			}
		}
		if want := "ada@example.com recipient." + act + " h-1"; len(w.made) != 1 || w.made[0] != want {
			t.Errorf("%v, not %s once", w.made, want)
		}
	}
	path := "/d/" + w.link(w.digests, "ada@example.com", mine.Release) + "A"
	w.made = nil
	for _, bad := range []string{path, "/d/x", "/d/" + w.link(w.enters, "ada@example.com", mine.Release)} {
		for _, method := range []string{"GET", "POST"} {
			if rec := w.do(method, bad, nil); rec.Code != http.StatusNotFound || len(w.made) > 0 {
				t.Errorf("%s: %d %v", bad, rec.Code, w.made)
			}
		}
	}
	path = "/d/" + w.link(w.digests, "ada@example.com", mine.Release)
	w.now = w.now.Add(mine.LinkLife)
	if rec := w.do("POST", path, nil); rec.Code != http.StatusNotFound || len(w.made) > 0 {
		t.Errorf("after seven days: %d %v", rec.Code, w.made)
	}
}

func TestALinkThatCouldNotActStaysGood(t *testing.T) {
	w := newWorld(t)
	path := "/d/" + w.link(w.digests, "ada@example.com", mine.Release)
	w.fail = &page.Error{Status: http.StatusConflict, Words: "busy: 10.0.0.1"}
	if rec := w.do("POST", path, nil); rec.Code != http.StatusConflict || strings.Contains(rec.Body.String(), "10.0.0.1") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.fail = nil
	if rec := w.do("POST", path, nil); rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "It was delivered") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	w.held.Unsafe, w.made = true, nil
	if rec := w.do("GET", "/d/"+w.link(w.digests, "ada@example.com", mine.Allow), nil); strings.Contains(rec.Body.String(), "<button class=\"main wide\"") {
		t.Error("malware with a button to release it")
	}
}

// enter signs somebody in by a link.
func (w *world) enter(who string) {
	w.t.Helper()
	path := "/mail/in/" + w.link(w.enters, who, mine.Enter)
	if rec := w.do("GET", path, nil); rec.Code != http.StatusOK || len(rec.Result().Cookies()) > 0 {
		w.t.Fatalf("opening the link: %d", rec.Code)
	}
	rec := w.do("POST", path, nil)
	all := rec.Result().Cookies()
	if rec.Code != http.StatusSeeOther || len(all) != 1 || !all[0].HttpOnly || all[0].SameSite != http.SameSiteStrictMode || all[0].MaxAge != 3600 {
		w.t.Fatalf("%d %v", rec.Code, all)
	}
	if rec := w.do("POST", path, nil); rec.Code != http.StatusNotFound {
		w.t.Errorf("the link again: %d", rec.Code)
	}
	w.cookie = all[0]
}

func (w *world) form() string {
	w.t.Helper()
	body := w.do("GET", "/mail/h-1", nil).Body.String()
	_, rest, ok := strings.Cut(body, `name="form" value="`)
	if !ok {
		w.t.Fatal(body)
	}
	return rest[:strings.IndexByte(rest, '"')]
}

// TestHK07: the pages of a session are about its address, whatever is asked for; what is not
// theirs is 404 and written down.
func TestHK07(t *testing.T) {
	w := newWorld(t)
	if rec := w.do("GET", "/mail/h-1", nil); rec.Code != http.StatusSeeOther {
		t.Errorf("without a session: %d", rec.Code)
	}
	if rec := w.do("POST", "/mail/h-1", url.Values{"act": {"release"}}); rec.Code != http.StatusForbidden || len(w.made) > 0 {
		t.Errorf("without a session: %d %v", rec.Code, w.made)
	}
	w.enter("ada@example.com")
	form := w.form()
	for _, bad := range []string{"h-2", "H-1", "h-1x", "..%2fh-1", "%00", strings.Repeat("x", 300)} {
		if rec := w.do("GET", "/mail/"+bad, nil); rec.Code != http.StatusNotFound {
			t.Errorf("%.20s: %d", bad, rec.Code)
		}
		if rec := w.do("POST", "/mail/"+bad, url.Values{"form": {form}, "act": {"release"}, "address": {"bob@example.com"}}); rec.Code != http.StatusNotFound {
			t.Errorf("%.20s: %d", bad, rec.Code)
		}
	}
	if len(w.refused) != 12 || !strings.HasPrefix(w.refused[0], "ada@example.com h-2") {
		t.Errorf("%d refusals are written down: %.100v", len(w.refused), w.refused)
	}
	w.made = nil
	for _, bad := range []url.Values{{"act": {"release"}}, {"act": {"release"}, "form": {form + "x"}}, {"act": {"show"}, "form": {form}}, {"form": {form}}} {
		if rec := w.do("POST", "/mail/h-1", bad); rec.Code < 400 || len(w.made) > 0 {
			t.Errorf("%v: %d %v", bad, rec.Code, w.made)
		}
	}
	if rec := w.do("POST", "/mail/h-1", url.Values{"act": {"release"}, "form": {form}}); rec.Code != http.StatusSeeOther || len(w.made) != 1 {
		t.Errorf("%d %v", rec.Code, w.made)
	}
	for _, path := range []string{"/mail", "/mail/h-1", "/mail/settings"} {
		body := w.do("GET", path, nil).Body.String()
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<b>frank") || strings.Contains(body, "<img src=x") || strings.Contains(body, `href="http`) || strings.Contains(body, "<i>.exe") {
			t.Errorf("%s is not inert: %s", path, body)
		}
	}
}

func TestASessionEnds(t *testing.T) {
	w := newWorld(t)
	inside := func() bool { return w.do("GET", "/mail/h-1", nil).Code == http.StatusOK }
	w.enter("ada@example.com")
	w.now = w.now.Add(mine.SessionLife - time.Second)
	if !inside() {
		t.Error("before its hour is over")
	}
	w.now = w.now.Add(time.Second)
	if inside() {
		t.Error("after its hour")
	}
	w.cookie, w.now = nil, w.now.Add(time.Second)
	w.enter("bob@example.com")
	w.enter("ada@example.com")
	old := *w.cookie
	if rec := w.do("POST", "/sign-out", url.Values{"form": {w.form()}}); rec.Code != http.StatusSeeOther {
		t.Errorf("%d", rec.Code)
	}
	if w.cookie = &old; inside() {
		t.Error("the cookie of who signed out")
	}
	w.cookie.Value = w.link(w.enters, "ada@example.com", mine.Enter)
	if inside() {
		t.Error("a link as a cookie")
	}
}

func TestAskingTellsNothing(t *testing.T) {
	w := newWorld(t)
	first := ""
	for _, who := range []string{"ada@example.com", "nobody@example.com", "x", ""} {
		rec := w.do("POST", "/mail/ask", url.Values{"address": {who}})
		if first == "" {
			first = rec.Body.String()
		}
		if rec.Code != http.StatusOK || rec.Body.String() != first {
			t.Errorf("%q is answered in another way: %d", who, rec.Code)
		}
	}
	if len(w.asked) != 4 || w.asked[0] != "ada@example.com en" {
		t.Errorf("%v", w.asked)
	}
	if rec := w.do("POST", "/mail/ask", url.Values{"address": {"ada@example.com"}}); rec.Code != http.StatusOK {
		t.Errorf("the fifth: %d", rec.Code)
	}
	if rec := w.do("POST", "/mail/ask", url.Values{"address": {"ada@example.com"}}); rec.Code != http.StatusTooManyRequests || len(w.asked) != 5 {
		t.Errorf("the sixth of a source: %d", rec.Code)
	}
}

func TestPagesInAllLanguages(t *testing.T) {
	w := newWorld(t)
	paths := []string{"/mail", "/d/x"}
	for _, act := range mine.Acts() {
		paths = append(paths, "/d/"+w.link(w.digests, "ada@example.com", act))
	}
	check := func(paths []string) {
		for _, lang := range []string{"en", "zh-CN", "ru", "el"} {
			for _, path := range paths {
				rec := w.do("GET", path+"?lang="+lang, nil)
				if body := rec.Body.String(); rec.Header().Get("Content-Language") != lang || strings.Contains(body, "mine.") || strings.Contains(body, "own.") {
					t.Errorf("%s %.30s: %d %s", lang, path, rec.Code, body)
				}
			}
		}
	}
	check(paths)
	w.enter("ada@example.com")
	check([]string{"/mail", "/mail/h-1", "/mail/settings"})
	form := url.Values{"form": {w.form()}, "send": {"on"}, "hour": {"8", "x", "17"}, "zone": {"Asia/Shanghai"}, "to-language": {"zh-CN"}}
	if rec := w.do("POST", "/mail/settings", form); rec.Code != http.StatusSeeOther {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	form.Set("zone", "Mars/Phobos")
	if rec := w.do("POST", "/mail/settings", form); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), `role="alert"`) {
		t.Errorf("%d", rec.Code)
	}
}
