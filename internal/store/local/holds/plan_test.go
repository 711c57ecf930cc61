package holds

import (
	"database/sql"
	"os"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/store/local/search"
	"postern/quarantine"

	_ "modernc.org/sqlite"
)

// database is one of the present schema, with nothing in it.
func database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	for _, step := range []string{"1", "2", "2-end", "3", "4", "5"} {
		script, err := os.ReadFile("../schema/postern-" + step + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), string(script)); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
	return db
}

// plan is how the database answers the search that a page is read by.
func plan(t *testing.T, db *sql.DB, c *search.Clause, d driver, way string) string {
	t.Helper()
	order := strings.ReplaceAll(d.order, ",", way+",") + way
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN SELECT h.n FROM "+d.tables+" "+c.String()+" ORDER BY "+order+" LIMIT 51", c.Args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id, parent, unused int
		var text string
		if err := rows.Scan(&id, &parent, &unused, &text); err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "; ")
}

// A page of very many holds is read down an index that is in its order already: nothing is sorted.
func TestPlans(t *testing.T) {
	db, seven := database(t), filter.Score(700)
	for name, q := range map[string]quarantine.Query{
		"open": {}, "a state": {States: []quarantine.State{quarantine.Held}}, "direction": {Direction: "outbound"}, "score": {AtLeast: &seven}, "class": {Class: quarantine.Evidence},
		"deleted of a score": {States: []quarantine.State{quarantine.Deleted}, AtMost: &seven}, "twice the same": {States: []quarantine.State{quarantine.Held, quarantine.Provisional, quarantine.Held}},
	} {
		c, d, ok, err := new(Store).find(t.Context(), q)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		byScore := &search.Clause{}
		scores, ok := scoreDriver(q, byScore)
		if !ok {
			t.Fatal(name)
		}
		fields(byScore, q)
		byScore.And("(h.score, h.id) < (?, ?)", 700, "x")
		open, named := "holds_open", "holds_state "
		if len(q.States) > 0 {
			open = named
		}
		for _, way := range []string{" DESC", " ASC"} {
			if got := plan(t, db, c, d, way) + " "; !strings.Contains(got, "INDEX "+open) || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("%s%s: %s", name, way, got)
			}
			if got := plan(t, db, byScore, scores, way); !strings.Contains(got, "INDEX holds_") || !strings.Contains(got, "score ") || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("%s by score%s: %s", name, way, got)
			}
		}
	}
	several := quarantine.Query{States: []quarantine.State{quarantine.Held, quarantine.Deleted}}
	if c, d, _, err := new(Store).find(t.Context(), several); err != nil || !strings.Contains(plan(t, db, c, d, " DESC"), "INDEX holds_state ") {
		t.Errorf("several states: %v", err)
	}
}
