package form_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postern/internal/desk/form"
	"postern/internal/desk/page"
	"postern/internal/desk/public"
	"postern/internal/desk/words"
)

type desk struct {
	t     *testing.T
	h     http.Handler
	taken []form.Complaint
	fail  error
	now   time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	return deskWith(t, newKit(t))
}

// newKit reads all words and pages, which takes longer than anything that is done with them.
func newKit(t testing.TB) *page.Kit {
	t.Helper()
	book, err := words.Open()
	if err != nil {
		t.Fatal(err)
	}
	kit, err := page.New(page.Options{Words: book, Now: func() time.Time { return begun }, Log: slog.New(slog.DiscardHandler)}, public.Pages, form.Pages)
	if err != nil {
		t.Fatal(err)
	}
	return kit
}

var begun = time.Unix(1_900_000_000, 0)

func deskWith(t *testing.T, kit *page.Kit) *desk {
	d := &desk{t: t, now: begun}
	now := func() time.Time { return d.now }
	room := &form.Room{Kit: kit, Now: now, Log: slog.New(slog.DiscardHandler), Keep: func(_ context.Context, c form.Complaint) (string, error) {
		if d.fail != nil {
			return "", d.fail
		}
		d.taken = append(d.taken, c)
		return "R-123", nil
	}}
	d.h = public.New(public.Options{Kit: kit, Rooms: []public.Room{room}, Now: now})
	return d
}

func body(fields ...[2]string) (kind, text string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		p, _ := w.CreateFormField(f[0])
		_, _ = io.WriteString(p, f[1])
	}
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

func (d *desk) post(query, kind, text string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/complaint"+query, strings.NewReader(text))
	r.Header.Set("Content-Type", kind)
	r.Header.Set("Accept-Language", "el-GR,el;q=0.9,en;q=0.5")
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w
}

func TestAComplaintIsTaken(t *testing.T) {
	d := newDesk(t)
	raw := "From: a@x.example\r\nSubject: \xc3\x28\r\n\r\nbytes \xff stay\r\n"
	kind, text := body([2]string{"text", "spam"}, [2]string{"message", raw}, [2]string{"file", ""}, [2]string{"email", " me@y.example "}, [2]string{"other", ""})
	w := d.post("", kind, text)
	if w.Code != 200 || !strings.Contains(w.Body.String(), "R-123") || len(d.taken) != 1 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	c := d.taken[0]
	if c.Text != "spam" || string(c.Message) != raw || c.Email != "me@y.example" || c.Language != "el" || c.Source.String() != "192.0.2.1" {
		t.Errorf("%+v", c)
	}
	kind, text = body([2]string{"file", "from the file"}, [2]string{"message", "pasted"})
	if d.post("?lang=ru", kind, text); string(d.taken[1].Message) != "from the file" || d.taken[1].Language != "ru" {
		t.Errorf("%+v", d.taken[1])
	}
}

func TestWhatIsRefusedStaysInTheForm(t *testing.T) {
	ok, good := body([2]string{"text", `<script>alert(1)</script>"`})
	for name, c := range map[string]struct {
		kind, text string
		fail       error
		status     int
	}{
		"empty":      {status: 400},
		"urlencoded": {kind: "application/x-www-form-urlencoded", text: "text=x", status: 400},
		"no kind":    {kind: "text", text: "x", status: 400},
		"cut":        {kind: ok, text: good[:len(good)-20], status: 400},
		"long text":  {text: strings.Repeat("x", form.MaxText+1), status: 413},
		"full":       {kind: ok, text: good, fail: form.ErrFull, status: 503},
		"away":       {kind: ok, text: good, fail: errors.New("at 10.0.0.1"), status: 503},
	} {
		d := newDesk(t)
		d.fail = c.fail
		kind, text := c.kind, c.text
		if kind == "" {
			kind, text = body([2]string{"text", text}, [2]string{"message", ""})
		}
		w := d.post("?lang=en", kind, text)
		if w.Code != c.status || len(d.taken) > 0 || !strings.Contains(w.Body.String(), `role="alert"`) || strings.Contains(w.Body.String(), "10.0.0.1") {
			t.Errorf("%s: %d %d", name, w.Code, len(d.taken))
		}
		if c.fail != nil && (strings.Contains(w.Body.String(), "<script>") || !strings.Contains(w.Body.String(), "&lt;script&gt;")) {
			t.Errorf("%s: what was written is lost, or runs", name)
		}
	}
	d := newDesk(t)
	var many [][2]string
	for range 20 {
		many = append(many, [2]string{"text", "x"})
	}
	if kind, text := body(many...); d.post("", kind, text).Code != 400 {
		t.Error("more fields than the form has")
	}
	if kind, text := body([2]string{"file", strings.Repeat("x", form.MaxMessage+1)}); d.post("", kind, text).Code != 413 {
		t.Error("a message beyond the limit")
	}
	if kind, text := body([2]string{"nonsense", strings.Repeat("x", form.MaxMessage*2)}); d.post("", kind, text).Code != 413 {
		t.Error("a request beyond the limit")
	}
}

func TestPage(t *testing.T) {
	d := newDesk(t)
	for accept, lang := range map[string]string{"": "en", "zh-TW": "zh-CN", "ru-RU,ru": "ru", "el": "el", "fr": "en", "\x00;;q=": "en"} {
		r := httptest.NewRequest("GET", "/complaint", nil)
		r.Header.Set("Accept-Language", accept)
		w := httptest.NewRecorder()
		d.h.ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Content-Language") != lang || !strings.Contains(w.Body.String(), `lang="`+lang+`"`) || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%q: %d %v", accept, w.Code, w.Header())
		}
	}
	w := httptest.NewRecorder()
	if d.h.ServeHTTP(w, httptest.NewRequest("GET", "/elsewhere", nil)); w.Code != 404 {
		t.Errorf("elsewhere: %d", w.Code)
	}
}

func TestFloodOfAForm(t *testing.T) {
	d := newDesk(t)
	kind, text := body([2]string{"text", "x"})
	for range form.Burst {
		if w := d.post("", kind, text); w.Code != 200 {
			t.Fatal(w.Code)
		}
	}
	if w := d.post("", kind, text); w.Code != 429 || w.Header().Get("Retry-After") == "" || len(d.taken) != form.Burst {
		t.Errorf("%d, %d taken", w.Code, len(d.taken))
	}
	d.now = d.now.Add(form.Every)
	if w := d.post("", kind, text); w.Code != 200 {
		t.Errorf("later: %d", w.Code)
	}
}

func FuzzForm(f *testing.F) {
	kind, text := body([2]string{"text", "x"}, [2]string{"message", "From: a\r\n\r\n"})
	f.Add(kind, text)
	f.Add("multipart/form-data; boundary=\"\"", "--")
	kit := newKit(f)
	f.Fuzz(func(t *testing.T, kind, text string) {
		d := deskWith(t, kit)
		if w := d.post("", kind, text); w.Code == 200 && (len(d.taken) != 1 || len(d.taken[0].Message) > form.MaxMessage || len(d.taken[0].Text) > form.MaxText) {
			t.Errorf("%d: %+v", w.Code, d.taken)
		}
	})
}
