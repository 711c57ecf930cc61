package sent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/store/local/sqlite"
)

// A complaint asks by Message-ID, and the log has half a year of mail: an index must answer.
func TestIndexAnswers(t *testing.T) {
	schema, err := os.ReadFile("../schema/sent-1.sql")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "sent.db"), []string{string(schema)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var plan []string
	err = sqlite.Each(t.Context(), s.db.R, "EXPLAIN QUERY PLAN "+byHeader, []any{"x@y.example", 10}, func(scan sqlite.Scanner) error {
		var id, parent, rest int
		var text string
		err := scan(&id, &parent, &rest, &text)
		plan = append(plan, text)
		return err
	})
	if all := strings.Join(plan, "; "); err != nil || !strings.Contains(all, "USING INDEX sent_header") {
		t.Errorf("%s, %v", all, err)
	}
}
