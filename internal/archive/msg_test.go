package archive_test

import (
	"bytes"
	"strings"
	"testing"

	"postern/internal/archive"
	"postern/internal/mailtest/samples"
)

// Files of an Outlook message are members, whether it is the file or lies in an archive.
func TestOutlook(t *testing.T) {
	letter := samples.Attachments(samples.Member{Name: "order.zip", Data: samples.Zip(samples.Text("a.txt", "hello"))}, samples.Text("b.txt", "b"))
	for name, x := range map[string]struct {
		data []byte
		want string
	}{
		"message":          {letter, "x!order.zip x!order.zip!a.txt x!b.txt x!a.txt"}, // whose end is that of a zip, too
		"in a zip":         {samples.Zip(samples.Member{Name: "m.msg", Data: letter}), "x!m.msg x!m.msg!order.zip x!m.msg!order.zip!a.txt x!m.msg!b.txt"},
		"message as file":  {samples.Attachments(samples.Member{Name: "m.msg", Data: samples.Attachments(samples.Text("a", "b"))}), "x!m.msg x!m.msg!a"},
		"no message":       {samples.Compound(nil, samples.Text("__substg1.0_37010102", "x")), ""},
		"no message, in a": {samples.Zip(samples.Member{Name: "a.doc", Data: samples.Compound(nil, samples.Text("WordDocument", "x"))}), "x!a.doc"},
	} {
		var visited []string
		facts, err := archive.Walk(t.Context(), "x", bytes.NewReader(x.data), int64(len(x.data)), archive.Limits{}, func(e archive.Entry, _ []byte) { visited = append(visited, e.Name) })
		var got []string
		for _, e := range facts.Entries {
			got = append(got, e.Name)
		}
		if s := strings.Join(got, " "); err != nil || s != x.want || facts.Bomb != "" || len(facts.Unreadable) > 0 {
			t.Errorf("%s: %q, want %q; %+v, %v", name, s, x.want, facts, err)
		}
		if len(got) > 0 && len(visited) == 0 {
			t.Errorf("%s: nothing was visited", name)
		}
	}
}

// The budget of archives holds for messages, too.
func TestOutlookBounds(t *testing.T) {
	letter := samples.Attachments(samples.Text("a", "a"), samples.Text("b", "b"), samples.Text("c", "c"))
	deep := samples.Attachments(samples.Text("a", "a"))
	for range 3 {
		deep = samples.Zip(samples.Member{Name: "m.msg", Data: samples.Attachments(samples.Member{Name: "m.zip", Data: deep})})
	}
	for name, x := range map[string]struct {
		data []byte
		lim  archive.Limits
	}{
		"members":    {letter, archive.Limits{Entries: 2}},
		"bytes":      {letter, archive.Limits{Bytes: 5000}},
		"one member": {letter, archive.Limits{EntryBytes: 1000}},
		"levels":     {deep, archive.Limits{Depth: 4}},
	} {
		facts, err := archive.Walk(t.Context(), "x", bytes.NewReader(x.data), int64(len(x.data)), x.lim, nil)
		if err != nil || facts.Bomb == "" {
			t.Errorf("%s: %+v, %v", name, facts, err)
		}
	}
	cut := letter[:len(letter)-100]
	facts, err := archive.Walk(t.Context(), "x", bytes.NewReader(cut), int64(len(cut)), archive.Limits{}, nil)
	if err != nil || len(facts.Unreadable) != 1 || len(facts.Entries) != 3 {
		t.Errorf("cut off: %+v, %v", facts, err)
	}
}
