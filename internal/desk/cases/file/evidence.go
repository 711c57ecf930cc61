package file

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/desk/page"
	"postern/internal/said"
)

// Bounds of what one page shows of a complaint.
const (
	perReports = 20
	maxText    = 64 << 10
	maxFields  = 200
	maxHops    = 30
)

// evidence is one report, and the message it is about.
type evidence struct {
	complaint
	View     viewed
	About    *viewed // the reported message
	SHA256   string
	Hops     []hop
	ViewFail string
}

// complaint is a report and what became of it.
type complaint struct {
	Report struct {
		ID     string    `json:"id"`
		At     time.Time `json:"at"`
		By     string    `json:"by"`
		SHA256 string    `json:"sha256"`
		Size   int64     `json:"size"`
		Client string    `json:"client"`
		Port   int       `json:"port"`
		Name   string    `json:"name"`
		Helo   string    `json:"helo"`
		TLS    string    `json:"tls"`
		From   string    `json:"from"`
		To     []string  `json:"to"`
		Auth   struct {
			SPF    string   `json:"spf"`
			DKIM   []string `json:"dkim"`
			DMARC  string   `json:"dmarc"`
			Author string   `json:"author"`
		} `json:"auth"`
		Actor string `json:"actor"`
	} `json:"report"`
	Work struct {
		State    string `json:"state"`
		Format   string `json:"format"`
		Feedback string `json:"feedback"`
		Reporter string `json:"reporter"`
		Trust    int    `json:"trust"`
		Judged   string `json:"judged"`
		JudgedBy string `json:"judged_by"`
		Proof    struct {
			Grade      int        `json:"grade"`
			Class      string     `json:"class"`
			Sentence   string     `json:"sentence"`
			Said       said.Words `json:"said"`
			Votes      int        `json:"votes"`
			Recipient  string     `json:"recipient"`
			Accepted   int        `json:"accepted"`
			Transcript []string   `json:"transcript"`
		} `json:"proof"`
		Problems []string `json:"problems"`
	} `json:"work"`
	Like   int `json:"like"`
	Bundle *struct {
		ID      string `json:"id"`
		Reports []struct {
			ID     string `json:"id"`
			SHA256 string `json:"sha256"`
		} `json:"reports"`
	} `json:"bundle"`
}

// viewed is a message that was made harmless.
type viewed struct {
	Fields []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		Lit   bool   `json:"lit"`
	} `json:"fields"`
	Text  string `json:"text"`
	Links []struct {
		URL   string `json:"url"`
		Shown string `json:"shown"`
	} `json:"links"`
	Parts []struct {
		Path   string `json:"path"`
		Type   string `json:"type"`
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"parts"`
	Charsets []string `json:"charsets"`
	Problems []string `json:"problems"`
	Cut      bool     `json:"-"`
}

// hop is one server that handed the message on, as its line says.
type hop struct {
	From, By, Rest string
}

var received = regexp.MustCompile(`(?is)^(?:from\s+(.{1,300}?)\s+)?by\s+(\S{1,255})(.*)$`)

func hops(v *viewed) (out []hop) {
	for _, f := range slices.Backward(v.Fields) { // the first server wrote the lowest line
		if !strings.EqualFold(f.Name, "Received") || len(out) == maxHops {
			continue
		}
		if m := received.FindStringSubmatch(f.Value); m != nil {
			out = append(out, hop{m[1], m[2], strings.TrimSpace(m[3])})
		} else {
			out = append(out, hop{Rest: f.Value})
		}
	}
	return out
}

func (v *viewed) bound() {
	if len(v.Text) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(v.Text[n]) {
			n--
		}
		v.Text, v.Cut = v.Text[:n], true
	}
	v.Fields = v.Fields[:min(len(v.Fields), maxFields)]
}

// evidence reads the reports of a case, and one of them whole.
func (h *Room) evidence(ctx context.Context, f *file) error {
	var out struct {
		Reports []report `json:"reports"`
		Next    string   `json:"next"`
	}
	if err := h.Calls.Call(ctx, "case.reports", id{ID: f.Case.ID, After: f.After, Limit: perReports}, &out); err != nil {
		return err
	}
	f.Reports, f.NextReports = out.Reports, out.Next
	if h.Calls.May(ctx, "case.sent") {
		var log struct {
			Messages []sent `json:"messages"`
		}
		if err := h.Calls.Call(ctx, "case.sent", id{ID: f.Case.ID}, &log); err != nil {
			return err
		}
		f.Sent = log.Messages
	}
	if f.Report == "" && len(f.Reports) > 0 {
		f.Report = f.Reports[0].Report
	}
	if f.Report == "" || !h.Calls.May(ctx, "complaint.show") {
		return nil
	}
	var e evidence
	switch err := h.Calls.Call(ctx, "complaint.show", id{ID: f.Report}, &e.complaint); {
	case asRefusal(err): // swept: what the case knows of it stays
		f.Problem = words(err)
		return nil
	case err != nil:
		return err
	}
	f.Evidence = &e
	if e.Bundle != nil {
		return nil
	}
	return h.viewed(ctx, f.Report, &e)
}

func (h *Room) viewed(ctx context.Context, report string, e *evidence) error {
	var v struct {
		SHA256   string  `json:"sha256"`
		Report   viewed  `json:"report"`
		Original *viewed `json:"original"`
	}
	err := h.Calls.Call(ctx, "complaint.view", id{ID: report}, &v)
	if asRefusal(err) {
		e.ViewFail = words(err)
		return nil
	}
	if err != nil {
		return err
	}
	e.SHA256, e.View, e.About = v.SHA256, v.Report, v.Original
	e.View.bound()
	e.Hops = hops(&e.View)
	if e.About != nil {
		e.About.bound()
		e.Hops = hops(e.About)
	}
	return nil
}

// raw hands the bytes of a report to the reader's disk, never to the browser.
func (h *Room) raw(w http.ResponseWriter, r *http.Request) {
	var out struct {
		Bytes []byte `json:"bytes"`
	}
	report := r.PathValue("report")
	if err := h.Calls.Call(r.Context(), "complaint.raw", id{ID: report}, &out); err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	hd := w.Header()
	hd.Set("Content-Type", "application/octet-stream")
	hd.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "report-" + report + ".eml"}))
	hd.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	hd.Set("Cache-Control", "no-store")
	_, _ = w.Write(out.Bytes) // the reader has gone: nobody to tell
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64) // what is no number is the beginning
	return n
}

func asRefusal(err error) bool {
	var e *page.Error
	return errors.As(err, &e) && e.Status < http.StatusInternalServerError && e.Status != http.StatusForbidden
}

func words(err error) string {
	var e *page.Error
	if errors.As(err, &e) {
		return e.Words
	}
	return ""
}
