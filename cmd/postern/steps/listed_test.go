package steps_test

import (
	"log/slog"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"postern/cmd/postern/steps"
	"postern/filter"
	"postern/internal/config"
	"postern/internal/mime"
	"postern/rules"
)

// What the check knows of a file reaches a verdict where a policy names its type, and nobody where
// none does.
func TestPoliciesSeeTheTypesTheyName(t *testing.T) {
	raw := []byte("From: a@example.org\r\nContent-Type: application/octet-stream; name=a.exe\r\n\r\nMZ\r\n")
	for text, want := range map[string]filter.Action{
		"policies: {default: {attachments: {refuse: [exe]}}}":              filter.Reject,
		"policies: {default: {attachments: {hold: [program]}}}":            filter.Quarantine,
		"policies: {sales: {attachments: {hold: [program]}}}":              filter.Accept,
		"policies: {default: {attachments: {hold: [script, disk-image]}}}": filter.Accept,
	} {
		set, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte(text)}}})
		if err != nil {
			t.Fatal(err)
		}
		p, done, err := steps.Offline(t.Context(), config.Default(), set, slog.New(slog.DiscardHandler), time.Now, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := &filter.Message{Body: strings.NewReader(string(raw)), Size: int64(len(raw)), Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil }}
		r := p.Run(t.Context(), filter.OnData, m)
		done()
		told := false
		for _, f := range r.Findings {
			told = told || f.Symbol == rules.FileType
		}
		named := strings.Contains(text, "exe") || strings.Contains(text, "program")
		if v := set.Judge(m, r, "default"); max(v.Action, filter.Tag) != max(want, filter.Tag) || told != named {
			t.Errorf("%s: %s, told %v", text, v.Action, told)
		}
	}
}
