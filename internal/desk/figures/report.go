package figures

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"postern/internal/desk/page"
	"postern/internal/desk/work"
)

// figure is one of the service guarantee.
type figure struct {
	ID      string             `json:"id"`
	Clause  string             `json:"clause"`
	Formula string             `json:"formula"`
	Unit    string             `json:"unit"`
	Value   *float64           `json:"value"`
	Bound   string             `json:"bound"`
	Limit   *float64           `json:"limit"`
	State   string             `json:"state"`
	Of      map[string]float64 `json:"of"`
	Note    string             `json:"note"`

	Made string `json:"-"` // what the value was made of
}

// Shown is the value as people read it; "" where there is no data.
func (f figure) Shown() string { return short(f.Value) }

// Promise is the limit, "" where nothing is promised.
func (f figure) Promise() string { return short(f.Limit) }

// Key is the state and BoundKey the bound as the words have them.
func (f figure) Key() string { return "figures.state-" + strings.ReplaceAll(f.State, " ", "-") }

// BoundKey is the bound as the words have it.
func (f figure) BoundKey() string { return "figures.bound-" + strings.ReplaceAll(f.Bound, " ", "-") }

// short shows five decimals at most: as many as tell 99.99 % from what is a minute less.
func short(v *float64) string {
	if v == nil {
		return ""
	}
	text := strconv.FormatFloat(*v, 'f', 5, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}

type report struct {
	Month      string    `json:"month"`
	Hostname   string    `json:"hostname"`
	Zone       string    `json:"zone"`
	At         time.Time `json:"at"`
	Whole      bool      `json:"whole"`
	Figures    []figure  `json:"figures"`
	Exclusions []struct {
		ID      string    `json:"id"`
		Class   string    `json:"class"`
		From    time.Time `json:"from"`
		To      time.Time `json:"to"`
		Reason  string    `json:"reason"`
		State   string    `json:"state"`
		By      string    `json:"by"`
		Decided string    `json:"decided_by"`
		When    time.Time `json:"decided_at"`
	} `json:"exclusions"`
	Credits []credit `json:"credits"`

	Problem, Which, Why string `json:"-"` // a decision that was refused, about which credit, and its reason
	May                 bool   `json:"-"`

	Months []string            `json:"-"`
	Kinds  []string            `json:"-"`
	Counts map[string]int      `json:"-"`
	Raw    map[string][]object `json:"-"`
}

type object = map[string]any

// kinds are the rows that stand behind the figures, by their names in the report.
func kinds() []string {
	return []string{"outages", "faults", "exclusions", "tenants", "lists", "restore_proofs", "credits"}
}

// asked is how many months are offered.
const asked = 14

func (h *Room) month(r *http.Request) (m report, err error) {
	at := h.Kit.Now().UTC()
	month := r.FormValue("month")
	if month == "" {
		month = at.Format("2006-01")
	}
	var raw map[string]json.RawMessage
	if err = h.Calls.Call(r.Context(), "service.report", map[string]string{"month": month}, &raw); err != nil {
		return m, err
	}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	m.Figures = h.said(r, m.Figures)
	m.Kinds, m.Counts, m.Raw = kinds(), map[string]int{}, map[string][]object{}
	for _, k := range m.Kinds {
		var rows []object
		if err == nil && len(raw[k]) > 0 {
			err = json.Unmarshal(raw[k], &rows)
		}
		m.Counts[k], m.Raw[k] = len(rows), rows
	}
	first := time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range asked {
		m.Months = append(m.Months, first.AddDate(0, -i, 0).Format("2006-01"))
	}
	return m, err
}

func (h *Room) report(w http.ResponseWriter, r *http.Request) {
	h.over(w, r, http.StatusOK, func(*report) {})
}

// over writes the page of a month.
func (h *Room) over(w http.ResponseWriter, r *http.Request, status int, also func(*report)) {
	m, err := h.month(r)
	if err != nil {
		h.Kit.Fail(w, r, err)
		return
	}
	m.May = h.Calls.May(r.Context(), "service.credit-approve")
	also(&m)
	h.Kit.ShowStatus(w, r, status, "figures-report", page.View{Title: h.Kit.Language(r).Say("figures.report-of", "month", m.Month), Here: "figures", Body: m})
}

// rows makes a file of what stands behind the figures.
func (h *Room) rows(w http.ResponseWriter, r *http.Request) {
	kind, l := r.PostFormValue("kind"), h.Kit.Language(r)
	if !slices.Contains(kinds(), kind) {
		h.Kit.Fail(w, r, &page.Error{Status: http.StatusBadRequest})
		return
	}
	month := r.PostFormValue("month")
	h.Long.Start(w, r, work.Task{
		Title: l.Say("figures.export", "kind", l.Say("figures.rows-"+kind), "month", month), Here: "figures", Back: "/figures/report" + string(page.Query("month", month)),
		Run: func(ctx context.Context, far func(done, of int)) (work.Result, error) {
			m, err := h.month(r.WithContext(ctx))
			if refused := new(page.Error); errors.As(err, &refused) {
				return work.Result{Said: refused.Words, Bad: true}, nil
			}
			if err != nil {
				return work.Result{}, err
			}
			body, err := table(ctx, m.Raw[kind], far)
			return work.Result{Said: l.Say("figures.exported", "n", len(m.Raw[kind])), File: &work.File{Name: m.Month + "-" + kind + ".csv", Type: "text/csv; charset=utf-8", Body: body}}, err
		},
	})
}

// table writes rows for a spreadsheet: a column for each name that occurs.
func table(ctx context.Context, rows []object, far func(done, of int)) ([]byte, error) {
	names := map[string]bool{}
	for _, r := range rows {
		for n := range r {
			names[n] = true
		}
	}
	columns := slices.Sorted(maps.Keys(names))
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	err := w.Write(columns)
	for i, r := range rows {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		line := make([]string, len(columns))
		for j, n := range columns {
			line[j] = cell(r[n])
		}
		err = w.Write(line)
		far(i+1, len(rows))
	}
	w.Flush()
	return out.Bytes(), errors.Join(err, w.Error())
}

// cell keeps a spreadsheet from taking text of strangers for a formula.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
			return "'" + v
		}
		return v
	case bool:
		return strconv.FormatBool(v)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
