// Package words is the surface of the desk in its languages: what a page says by key, with
// plurals, times and numbers as readers of that language write them.
package words

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

//go:embed lang
var files embed.FS

// Default is the language of whoever reads none of the others.
const Default = "en"

// entry is one text, or one for each form that a number takes.
type entry struct {
	text  string
	forms map[string]string // by CLDR category: one, few, many, other
}

func (e *entry) UnmarshalJSON(raw []byte) error {
	if len(raw) > 0 && raw[0] == '"' {
		return json.Unmarshal(raw, &e.text)
	}
	return json.Unmarshal(raw, &e.forms)
}

// Book has all texts in all languages.
type Book struct {
	names []string
	match language.Matcher
	by    map[string]*Language
	help  map[string]string // by what the help of a key says in English: its key
}

// Open reads the texts that come with the program. Its errors are mistakes in those.
func Open() (*Book, error) {
	b := &Book{by: map[string]*Language{}, help: map[string]string{}}
	dirs, err := fs.ReadDir(files, "lang")
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		l, err := read(d.Name())
		if err != nil {
			return nil, err
		}
		b.by[d.Name()] = l
		b.names = append(b.names, d.Name())
	}
	for key, e := range b.by[Default].texts {
		if strings.HasPrefix(key, helpPart) {
			b.help[e.text] = key
		}
	}
	slices.SortFunc(b.names, func(x, y string) int {
		switch { // the first one is what a matcher falls back to
		case x == Default:
			return -1
		case y == Default:
			return 1
		}
		return strings.Compare(x, y)
	})
	tags := make([]language.Tag, len(b.names))
	for i, n := range b.names {
		tags[i] = b.by[n].tag
	}
	b.match = language.NewMatcher(tags)
	return b, nil
}

// read reads one language: a file for each part of the desk, whose keys begin with its name.
func read(name string) (*Language, error) {
	tag, err := language.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("lang/%s: %w", name, err)
	}
	l := &Language{Name: name, tag: tag, texts: map[string]entry{}}
	parts, err := fs.ReadDir(files, path.Join("lang", name))
	if err != nil {
		return nil, err
	}
	for _, p := range parts {
		at := path.Join("lang", name, p.Name())
		raw, err := files.ReadFile(at)
		if err != nil {
			return nil, err
		}
		var texts map[string]entry
		if err := json.Unmarshal(raw, &texts); err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		part := strings.TrimSuffix(p.Name(), ".json")
		for key, e := range texts {
			l.texts[part+"."+key] = e
		}
	}
	return l, nil
}

// Languages are the names of all languages, the default first.
func (b *Book) Languages() []string { return slices.Clone(b.names) }

// Language returns one by its name.
func (b *Book) Language(name string) (*Language, bool) {
	l, ok := b.by[name]
	return l, ok
}

// Match is the language for a reader: the wanted one if there is such a language, else what
// suits the Accept-Language header best.
func (b *Book) Match(wanted, header string) *Language {
	if l, ok := b.by[wanted]; ok {
		return l
	}
	var tags []language.Tag
	if len(header) <= 512 { // what browsers send is shorter
		tags, _, _ = language.ParseAcceptLanguage(header) // none of it can be read: the default
	}
	_, i, _ := b.match.Match(tags...)
	return b.by[b.names[i]]
}

// Language is the texts of one language.
type Language struct {
	Name  string // as HTML's lang attribute has it
	tag   language.Tag
	texts map[string]entry
}

// Base is the language alone, as letters know it: zh, en, ru or el.
func (l *Language) Base() string {
	base, _ := l.tag.Base()
	return base.String()
}

// Has reports whether there is a text for the key.
func (l *Language) Has(key string) bool {
	_, ok := l.texts[key]
	return ok
}

// Say is the text for a key. Pairs are names and values for its {placeholders}; the value of n
// chooses the plural form. A key that there is not is said as it is: tests find those.
func (l *Language) Say(key string, pairs ...any) string {
	e, ok := l.texts[key]
	if !ok {
		return key
	}
	text := e.text
	if e.forms != nil {
		text = e.forms[l.form(pairs)]
	}
	if len(pairs) < 2 {
		return text
	}
	var with []string
	for i := 0; i+1 < len(pairs); i += 2 {
		with = append(with, "{"+fmt.Sprint(pairs[i])+"}", l.value(pairs[i+1]))
	}
	return strings.NewReplacer(with...).Replace(text) // in one pass: values are strangers' words
}

// form is the plural category of the pair named n.
func (l *Language) form(pairs []any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == "n" {
			n, _ := number(pairs[i+1])
			return category(l.tag, n)
		}
	}
	return "other"
}

func category(tag language.Tag, n int64) string {
	digits := int(max(n, -n) % 1_000_000) // the rules look at the last digits
	switch plural.Cardinal.MatchPlural(tag, digits, 0, 0, 0, 0) {
	case plural.One:
		return "one"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}

func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case uint64:
		return int64(min(n, 1<<62)), true
	}
	return 0, false
}

func (l *Language) value(v any) string {
	if n, ok := number(v); ok {
		return l.Number(n)
	}
	if t, ok := v.(time.Time); ok {
		return l.Time(t)
	}
	return fmt.Sprint(v)
}
