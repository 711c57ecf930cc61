package rules_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"postern/filter"
	"postern/rules"
)

const lists = `policies:
  default: {attachments: {refuse: [program], hold: [script, iso], tag: [macro]}}
  open: {attachments: {refuse: []}}
  strict: {attachments: {hold: macro}}
  helpdesk: {extends: strict, most: tag}
`

func ofTypes(types ...string) filter.Report {
	var r filter.Report
	for _, t := range types {
		r.Findings = append(r.Findings, filter.Finding{Symbol: rules.FileType, Detail: "a." + t, Types: t, Step: "attachments"})
	}
	return r
}

// A policy's lists decide what a file leads to, whatever the score; each list replaces that of the
// policy it extends.
func TestListsOfTypes(t *testing.T) {
	s := layer(t, lists)
	for _, c := range []struct {
		policy string
		types  []string
		want   filter.Action
		detail string
	}{
		{"default", []string{"program exe"}, filter.Reject, "a.program exe"},
		{"default", []string{"picture png"}, filter.Accept, ""},
		{"default", []string{"disk-image iso"}, filter.Quarantine, "a.disk-image iso"},
		{"default", []string{"macro docm", "picture jpg", "script js"}, filter.Quarantine, "a.macro docm; a.script js"},
		{"default", []string{"isolated"}, filter.Accept, ""},
		{"default", []string{""}, filter.Accept, ""},
		{"open", []string{"program exe"}, filter.Accept, ""},
		{"open", []string{"script js"}, filter.Quarantine, "a.script js"},
		{"strict", []string{"macro docm"}, filter.Quarantine, "a.macro docm"},
		{"strict", []string{"script js"}, filter.Accept, ""},
		{"strict", []string{"program"}, filter.Reject, "a.program"},
		{"helpdesk", []string{"program"}, filter.Tag, "a.program"},
		{"postmaster", []string{"program"}, filter.Tag, "a.program"},
		{"outgoing", []string{"program"}, filter.Reject, "a.program"},
	} {
		v := s.Judge(after(), ofTypes(c.types...), c.policy)
		if v.Action != c.want || v.Score != 0 {
			t.Errorf("%s %q: %s at %s, want %s", c.policy, c.types, v.Action, v.Score, c.want)
		}
		got := ""
		for _, r := range v.Reasons {
			got += r.Detail
		}
		if got != c.detail {
			t.Errorf("%s %q: reasons %q, want %q", c.policy, c.types, got, c.detail)
		}
	}
	if !s.Lists("program exe") || s.Lists("picture png") {
		t.Error("Lists")
	}
	if layer(t, worths).Lists("program exe") {
		t.Error("the shipped policies name types")
	}
	var text strings.Builder
	if err := s.Explain(&text, rules.FileType); err != nil || !strings.Contains(text.String(), "default: reject") || !strings.Contains(text.String(), "helpdesk: tag") {
		t.Errorf("explained as %q, %v", text.String(), err)
	}
}

// A slip in a list is said with its place.
func TestListsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"{hold: [.exe]}":                          "without its dot",
		"{hold: [EXE]}":                           "in lower case",
		"{tag: [programm]}":                       `did you mean "program"?`,
		"{refuse: [disk-images]}":                 `did you mean "disk-image"?`,
		"{drop: [exe]}":                           "drop",
		"{hold: {a: b}}":                          "expected text",
		"{hold: [library-ms, exe, r00, program]}": "",
	} {
		_, err := rules.LoadFS(rules.Layer{Name: "mine", FS: fstest.MapFS{"r.yaml": {Data: []byte("policies:\n  default:\n    attachments: " + text + "\n")}}})
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "r.yaml:3")):
			t.Errorf("%s: %v, wanted %q and its place", text, err, want)
		}
	}
}
