package rules_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"postern/filter"
	"postern/internal/mime"
)

// TestTimes counts matches over all texts of a way to look.
func TestTimes(t *testing.T) {
	s := layer(t, `patterns:
  - {id: THRICE, in: body, match: 'word', times: 3, describe: A word stands thrice}
  - {id: TWO_LINKS, in: url, match: '^http', times: 2, describe: There are two links}
  - {id: TWO_FIELDS, in: 'fields:received', match: '(?m)^from', times: 2, describe: There are two}
composites:
  - {id: TWO_OF, when: '2 of (THRICE, TWO_LINKS, TWO_FIELDS)', describe: Two of three}
`)
	if problems := s.Check(); len(problems) > 0 {
		t.Fatal(problems)
	}
	for body, want := range map[string]string{
		"Received: from a\n\nword word":                            "",
		"Received: from a\n\nword a word\nword":                    "THRICE",
		"Received: from a\n\nhttp://a.example http://b.example":    "TWO_LINKS",
		"Received: from a\n\nhttp://a.example http://a.example":    "",
		"Received: from a\nReceived: from b\n\nx":                  "TWO_FIELDS",
		"Received: from a\nReceived: from b\n\nword wordword":      "THRICE TWO_FIELDS TWO_OF",
		"Received: from a\nReceived: from b\n\nWord Word wordword": "TWO_FIELDS",
	} {
		raw := []byte(strings.ReplaceAll(body, "\n", "\r\n"))
		m := &filter.Message{Body: bytes.NewReader(raw), Size: int64(len(raw)), Parts: func() (*mime.Tree, error) { return mime.Bytes(raw, mime.Limits{}), nil }}
		found, err := s.Patterns().Check(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range s.Judge(m, filter.Report{Findings: found}, "default").Reasons {
			switch r.Symbol {
			case "THRICE", "TWO_LINKS", "TWO_FIELDS", "TWO_OF":
				got = append(got, r.Symbol)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %v, want %s", body, got, want)
		}
	}
}
