// Package letter holds what the desk writes, in its languages, as templates with variables of
// a fixed kind. An operator's own wording replaces a letter; a variable that does not exist is
// an error at its line when the file is read, not when a letter is due.
package letter

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"
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
var ErrLetter = errors.New("the letter cannot be written")

//go:embed words/*.txt
var own embed.FS

type key struct {
	language string
	kind     Kind
}

type form struct {
	place         string
	subject, body *template.Template
}

// Book is all letters in all languages.
type Book struct{ forms map[key]form }

// Open reads the program's own letters, and over them those of a folder of the operator: files
// en.txt, zh.txt, ru.txt, el.txt; "" = none. A letter that is not there stays the program's own.
// Errors name file and line; all of them are told.
func Open(dir string) (*Book, error) {
	b := &Book{forms: map[key]form{}}
	for _, lang := range Languages() {
		text, err := own.ReadFile("words/" + lang + ".txt")
		if err != nil {
			return nil, err
		}
		if err := b.read(lang, lang+".txt", string(text)); err != nil {
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
			err = b.read(lang, path, string(text))
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
// letter.
func (b *Book) read(lang, path, text string) error {
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
			errs = append(errs, b.add(lang, path, s))
		}
	}
	return errors.Join(errs...)
}

func (b *Book) add(lang, path string, s section) error {
	subject, ok := "", false
	if len(s.text) > 1 {
		subject, ok = strings.CutPrefix(s.text[0], "Subject: ")
	}
	if !ok || strings.TrimSpace(s.text[1]) != "" {
		return fmt.Errorf("%s:%d: the first line is Subject: and the second is empty", path, s.line)
	}
	// The lines before keep the numbers of errors those of the file.
	body := strings.Repeat("\n", s.line+1) + strings.TrimRight(strings.Join(s.text[2:], "\n"), "\n") + "\n"
	f := form{place: fmt.Sprintf("%s:%d", path, s.line)}
	var err1, err2 error
	f.subject, err1 = template.New(path).Option("missingkey=error").Parse(strings.Repeat("\n", s.line-1) + subject)
	f.body, err2 = template.New(path).Option("missingkey=error").Parse(body)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("%s: %w", f.place, err)
	}
	if _, err := f.write(sample()); err != nil {
		return fmt.Errorf("%s: letter %s: %w", f.place, s.kind, err)
	}
	b.forms[key{lang, s.kind}] = f
	return nil
}

// sample has something everywhere, to try a letter with.
func sample() Vars {
	t := When{time.Date(2026, 2, 14, 17, 30, 0, 0, time.UTC)}
	return Vars{Ticket: "A-2026-000042", About: "a…@x.example", Account: "anna@x.example", Received: t, FirstDue: t, ResultDue: t, Deadline: t, Hours: "09:00-18:00", Link: "https://desk.example/",
		Missing: "–", Proof: "–", Measure: "–", Subject: "–", Desk: "–"}
}

func (f form) write(v Vars) (Text, error) {
	var subject, body bytes.Buffer
	if err := errors.Join(f.subject.Execute(&subject, v), f.body.Execute(&body, v)); err != nil {
		return Text{}, err
	}
	t := Text{Subject: strings.Join(strings.Fields(subject.String()), " "), Body: strings.TrimLeft(body.String(), "\n")}
	if len(t.Body) > MaxBody {
		return t, fmt.Errorf("it has %d octets, at most %d are sent", len(t.Body), MaxBody)
	}
	return t, nil
}

// Write writes a letter; a language that the desk does not write is English. The error is
// ErrLetter where something the letter says is not known.
func (b *Book) Write(language string, kind Kind, v Vars) (Text, error) {
	f, ok := b.forms[key{language, kind}]
	if !ok {
		f, ok = b.forms[key{Languages()[0], kind}]
	}
	if !ok {
		return Text{}, fmt.Errorf("%w: there is no %q", ErrLetter, kind)
	}
	if empty := f.empty(v); len(empty) > 0 {
		return Text{}, fmt.Errorf("%w: %s says %s, and that is not known", ErrLetter, kind, strings.Join(empty, ", "))
	}
	t, err := f.write(v)
	if err != nil {
		return t, fmt.Errorf("%w: %w", ErrLetter, err)
	}
	return t, nil
}

// empty names the variables that the letter says and v does not have; Link may be missing.
func (f form) empty(v Vars) []string {
	source := f.subject.Root.String() + f.body.Root.String()
	var out []string
	for name, value := range map[string]string{
		"Ticket": v.Ticket, "About": v.About, "Account": v.Account, "Received": v.Received.String(), "FirstDue": v.FirstDue.String(), "ResultDue": v.ResultDue.String(),
		"Deadline": v.Deadline.String(), "Hours": v.Hours, "Missing": v.Missing, "Proof": v.Proof, "Measure": v.Measure, "Subject": v.Subject, "Desk": v.Desk,
	} {
		if value == "" && strings.Contains(source, "."+name+"}}") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
