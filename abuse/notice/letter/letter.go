// Package letter holds what the desk writes, in its languages, as templates with variables of
// a fixed kind. An operator's own wording replaces a letter; a variable that does not exist is
// an error at its line when the file is read, not when a letter is due.
package letter

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"postern/internal/said"
)

// Kind names a letter.
type Kind string

// The letters.
const (
	Ack        Kind = "ack"        // a report arrived
	NeedInfo   Kind = "need-info"  // a question to the reporter
	Result     Kind = "result"     // the report was right
	Rejected   Kind = "rejected"   // it was not
	NotOurs    Kind = "not-ours"   // our name was forged
	Warning    Kind = "warning"    // to the account
	Suspension Kind = "suspension" // the second part of a guarantee
	Guarantee  Kind = "guarantee"  // the form of its first part
	Reinstated Kind = "reinstated"
	Refused    Kind = "refused"   // the guarantee was
	Complaint  Kind = "complaint" // to the network a mail came from
	National   Kind = "national"  // to the body that collects reports
	Listing    Kind = "listing"   // an address of ours stands on a list
)

// Kinds are all letters.
func Kinds() []Kind {
	return []Kind{Ack, NeedInfo, Result, Rejected, NotOurs, Warning, Suspension, Guarantee, Reinstated, Refused, Complaint, National, Listing}
}

// Sent are the letters that go out: all of them. To Complaint, National and Listing the program
// adds the facts below what they say, and no wording leaves those out.
func Sent() []Kind { return Kinds() }

// Languages are those the desk writes; the first is for everybody else.
func Languages() []string { return []string{"en", "zh", "ru", "el"} }

// Vars are what a letter may say. A text that is empty where a letter needs it makes that
// letter fail.
type Vars struct {
	Ticket    string // A-2026-000042
	About     string // address in the reported mail, masked; the listed address or domain
	Account   string // only in letters to its owner
	Received  When
	FirstDue  When
	ResultDue When
	Deadline  When
	Hours     string
	Link      string // may be empty
	Missing   string
	Proof     string
	Measure   string
	Subject   string // of the reported mail
	Desk      string // who signs
}

// When is a time as it is written in a letter: in the desk's zone with its offset, and in UTC.
type When struct {
	time.Time
}

// String is the time in words that every language reads.
func (w When) String() string {
	if w.IsZero() {
		return ""
	}
	local := w.Format("2006-01-02 15:04 -07:00")
	if _, offset := w.Zone(); offset == 0 {
		return w.Format("2006-01-02 15:04 UTC")
	}
	return local + w.UTC().Format(" (15:04 UTC)")
}

// Text is a letter as it is sent.
type Text struct {
	Subject, Body string
}

// MaxBody bounds a letter, in octets.
const MaxBody = 4 << 10

// ErrLetter is a letter that cannot be written.
var ErrLetter = said.New("letter.the-letter-cannot-be-written", "the letter cannot be written")

//go:embed words/*.txt
var own embed.FS

type key struct {
	language string
	kind     Kind
}

// Book is all letters in all languages.
type Book struct{ forms map[key]Form }

// Open reads the program's own letters, and over them those of a folder of the operator: files
// en.txt, zh.txt, ru.txt, el.txt; "" = none. A letter that is not there stays the program's own.
// Errors name file and line; all of them are told.
func Open(dir string) (*Book, error) {
	b := &Book{forms: map[key]Form{}}
	for _, lang := range Languages() {
		text, err := own.ReadFile("words/" + lang + ".txt")
		if err != nil {
			return nil, err
		}
		if err := b.read(lang, lang+".txt", string(text), ""); err != nil {
			return nil, err
		}
	}
	if dir == "" {
		return b, nil
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, f := range files {
		lang, ok := strings.CutSuffix(f.Name(), ".txt")
		if !ok || strings.HasPrefix(f.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, f.Name())
		if !slices.Contains(Languages(), lang) {
			errs = append(errs, fmt.Errorf("%s: letters are written in %v", path, Languages()))
			continue
		}
		text, err := os.ReadFile(path)
		if err == nil {
			err = b.read(lang, path, string(text), path)
		}
		errs = append(errs, err)
	}
	return b, errors.Join(errs...)
}

// section is one letter of a file, from the line after its mark.
type section struct {
	kind Kind
	line int
	text []string
}

// read takes the sections of a file: "=== kind", a line with the subject, an empty line, the
// letter. file is the operator's, "" = none.
func (b *Book) read(lang, path, text, file string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s: no UTF-8", path)
	}
	var all []section
	var errs []error
	for i, line := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		mark, is := strings.CutPrefix(line, "=== ")
		switch {
		case is && !slices.Contains(Kinds(), Kind(strings.TrimSpace(mark))):
			errs = append(errs, fmt.Errorf("%s:%d: there is no letter %q, but %v", path, i+1, mark, Kinds()))
			all = append(all, section{})
		case is:
			all = append(all, section{kind: Kind(strings.TrimSpace(mark)), line: i + 2})
		case len(all) > 0:
			all[len(all)-1].text = append(all[len(all)-1].text, line)
		case strings.TrimSpace(line) != "":
			errs = append(errs, fmt.Errorf("%s:%d: a letter begins with a line like %q", path, i+1, "=== "+string(Ack)))
			all = append(all, section{})
		}
	}
	for _, s := range all {
		if s.kind != "" {
			errs = append(errs, b.add(lang, path, file, s))
		}
	}
	return errors.Join(errs...)
}

func (b *Book) add(lang, path, file string, s section) error {
	subject, ok := "", false
	if len(s.text) > 1 {
		subject, ok = strings.CutPrefix(s.text[0], "Subject: ")
	}
	if !ok || strings.TrimSpace(s.text[1]) != "" {
		return fmt.Errorf("%s:%d: the first line is Subject: and the second is empty", path, s.line)
	}
	f, problems := Compile(s.kind, Source{Subject: subject, Body: strings.Join(s.text[2:], "\n")})
	var errs []error
	for _, p := range problems {
		line, column := s.line+1+p.Line, p.Column
		if p.Field == InSubject {
			line, column = s.line, p.Column+len("Subject: ")
		}
		errs = append(errs, said.Errorf("letter.letter", "%s:%d:%d: letter %s: %s", "path", path, "line", line, "column", column, "kind", s.kind, "message", p.Message))
	}
	if f.file = file; len(errs) == 0 {
		b.forms[key{lang, s.kind}] = f
	}
	return errors.Join(errs...)
}

// Source is what a letter is written as in a language, and the operator's file it stands in, ""
// = the program's own words. The error is ErrLetter where there is none.
func (b *Book) Source(language string, kind Kind) (s Source, file string, err error) {
	f, ok := b.forms[key{language, kind}]
	if !ok {
		return Source{}, "", said.Errorf("letter.there-is-no-in", "%w: there is no %q in %q", "kind", ErrLetter, "letter", kind, "language", language)
	}
	return f.source, f.file, nil
}

// Write writes a letter; a language that the desk does not write is English. The error is
// ErrLetter where something the letter says is not known.
func (b *Book) Write(language string, kind Kind, v Vars) (Text, error) {
	f, ok := b.forms[key{language, kind}]
	if !ok {
		f, ok = b.forms[key{Languages()[0], kind}]
	}
	if !ok {
		return Text{}, said.Errorf("letter.there-is-no", "%w: there is no %q", "kind", ErrLetter, "letter", kind)
	}
	return f.Write(v)
}
