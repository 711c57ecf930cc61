package rules

import "testing"

func TestLinesOfForms(t *testing.T) {
	for sent, want := range map[string]string{
		"":               "",
		"a":              "a\n",
		"a\r\nb":         "a\nb\n",
		"a\r\nb\r\n":     "a\nb\n",
		"a\n\n":          "a\n\n",
		"a: \"x\\r\\n\"": "a: \"x\\r\\n\"\n",
	} {
		if got := lines(sent); got != want {
			t.Errorf("%q became %q", sent, got)
		}
	}
}

func TestMarks(t *testing.T) {
	e := editor{Fresh: "1\n2\n3\n4\n5\n6\n", Checked: &checked{Problems: []problem{
		{Here: true, Line: 3, Column: 1},
		{Here: true, Line: 3, Column: 9},
		{Here: false, Line: 6, Column: 1},
		{Here: true},
	}}}
	m := e.Marks()
	if len(m) != 3 || m[0].Line != 2 || !m[1].Bad || m[1].Text != "3" || m[2].Bad {
		t.Errorf("%+v", m)
	}
	if e.Wrong() != "3" {
		t.Errorf("%q", e.Wrong())
	}
	if (editor{}).Marks() != nil || (editor{}).Wrong() != "" {
		t.Error("marks of what was not checked")
	}
}
