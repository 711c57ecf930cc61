package opfiles_test

import "testing"

// What is written in a form is no way to any other file of the machine.
func TestNamesOfFiles(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		id string
		ok bool
	}{
		{
			id: "rules/own.yaml",
			ok: true,
		},
		{
			id: "rules/a.b.yaml",
			ok: true,
		},
		{
			id: "rules/10-first.yaml",
			ok: true,
		},
		{
			id: "rules/UPPER_case.yaml",
			ok: true,
		},
		{
			id: "calendar/china.yaml",
			ok: false,
		},
		{
			id: "config/postern.yaml",
			ok: true,
		},
		{
			id: "default/base.yaml",
			ok: true,
		},
		{
			id: "rules/own.yml",
			ok: false,
		},
		{
			id: "rules/own",
			ok: false,
		},
		{
			id: "rules/.own.yaml",
			ok: false,
		},
		{
			id: "rules/..yaml",
			ok: false,
		},
		{
			id: "rules/../own.yaml",
			ok: false,
		},
		{
			id: "rules/a/b.yaml",
			ok: false,
		},
		{
			id: "rules/a\\b.yaml",
			ok: false,
		},
		{
			id: "rules/a b.yaml",
			ok: false,
		},
		{
			id: "rules/a\x00.yaml",
			ok: false,
		},
		{
			id: "rules/-a.yaml",
			ok: false,
		},
		{
			id: "rules/a..b.yaml",
			ok: false,
		},
		{
			id: "rules/\u00e4.yaml",
			ok: false,
		},
		{
			id: "rules/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.yaml",
			ok: false,
		},
		{
			id: "config/other.yaml",
			ok: false,
		},
		{
			id: "other/own.yaml",
			ok: false,
		},
		{
			id: "/own.yaml",
			ok: false,
		},
		{
			id: "own.yaml",
			ok: false,
		},
		{
			id: "",
			ok: false,
		},
		{
			id: "rules",
			ok: false,
		},
		{
			id: "rules/own.yaml/",
			ok: false,
		},
		{
			id: "rules/own.yaml\n",
			ok: false,
		},
	} {
		if _, _, err := w.shelf.Find(c.id); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.id, err)
		}
	}
}
