// Package attachment is what policies say about types of files.
package attachment

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"postern/filter"
	"postern/internal/strict"
)

// Lists are the files a policy does not take as they are, by type or by the ending of the name:
// words of filter.FileTypes, or endings without their dot.
type Lists struct {
	Refuse, Hold, Tag []string
}

// Action is what the lists ask for a file that has these types, blanks between them.
func (l Lists) Action(types string) filter.Action {
	for _, list := range []struct {
		words  []string
		action filter.Action
	}{{l.Refuse, filter.Reject}, {l.Hold, filter.Quarantine}, {l.Tag, filter.Tag}} {
		for word := range strings.FieldsSeq(types) {
			if slices.Contains(list.words, word) {
				return list.action
			}
		}
	}
	return filter.Accept
}

// Words is one word or a list of them, as written.
type Words []string

// OneOrMore implements strict.List.
func (*Words) OneOrMore() {}

// Entry is the key as a file has it; a nil list is one the file does not have.
type Entry struct {
	Refuse *Words `yaml:"refuse"`
	Hold   *Words `yaml:"hold"`
	Tag    *Words `yaml:"tag"`
}

// Over is e with the lists of x in the place of its own; both may be nil.
func (e *Entry) Over(x *Entry) *Entry {
	out := Entry{}
	for _, layer := range []*Entry{e, x} {
		if layer == nil {
			continue
		}
		if layer.Refuse != nil {
			out.Refuse = layer.Refuse
		}
		if layer.Hold != nil {
			out.Hold = layer.Hold
		}
		if layer.Tag != nil {
			out.Tag = layer.Tag
		}
	}
	return &out
}

// Onto writes the lists of e over inherited ones; e may be nil.
func (e *Entry) Onto(l Lists) Lists {
	if e == nil {
		return l
	}
	if e.Refuse != nil {
		l.Refuse = *e.Refuse
	}
	if e.Hold != nil {
		l.Hold = *e.Hold
	}
	if e.Tag != nil {
		l.Tag = *e.Tag
	}
	return l
}

var ending = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,30}$`)

// Check wants types or endings, and takes no word that is nearly a type for an ending. e may be
// nil.
func (e *Entry) Check(d *strict.Document, path string) {
	if e == nil {
		return
	}
	for _, list := range []struct {
		key   string
		words *Words
	}{{"refuse", e.Refuse}, {"hold", e.Hold}, {"tag", e.Tag}} {
		if list.words == nil {
			continue
		}
		for i, word := range *list.words {
			at, shown := fmt.Sprintf("%s.%s[%d]", path, list.key, i), strings.ToValidUTF8(word[:min(len(word), 40)], "")
			switch like := strict.Nearest(word, filter.FileTypes()); {
			case word == "": // said where it was read
			case !ending.MatchString(word):
				d.Fault(at, "rule.expected-type-of-file", "expected a type of file, or the ending of a name in lower case and without its dot; found %q", "word", shown)
			case len(word) > 5 && like != "" && like != word:
				d.Fault(at, "rule.no-type-of-file", "no type of file is called %q; did you mean %q?", "word", shown, "like", like)
			}
		}
	}
}
