package letter

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"postern/internal/said"
)

// Source is a letter as it is written, with variables in it.
type Source struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// The fields of a Source, as problems name them.
const (
	InSubject = "subject"
	InBody    = "body"
)

// Problem is what keeps a source from being a letter, and where.
type Problem struct {
	Field   string `json:"field"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`

	Words said.Words `json:"said,omitzero"` // Message by its code
}

// wrong is a problem at a place.
func wrong(field string, line, column int, what said.Words) Problem {
	return Problem{Field: field, Line: line, Column: column, Message: what.English, Words: what.Bare()}
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.Field, p.Line, p.Column, p.Message)
}

// Said implements said.Sayer.
func (p Problem) Said() said.Words {
	what := p.Words
	what.English = p.Message
	return said.Say("letter.problem", "%s:%d:%d: %s", "field", p.Field, "line", p.Line, "column", p.Column, "what", what)
}

// Unwritten is the problem of a letter that could not be filled in.
func Unwritten(err error) Problem { return wrong(InBody, 1, 1, said.Of(err)) }

// Form is a letter that was checked, to be filled in.
type Form struct {
	kind          Kind
	source        Source
	file          string
	subject, body *template.Template
	needs         []string // variables that must be known
	says          []string // and those that stand in it under a condition
}

// Bounds of a letter as it is written.
const (
	MaxSource  = 8 << 10 // octets of a text with its variables
	MaxSubject = 300     // octets of a subject
)

// Names are the variables that a letter of a kind may say. What is known of a customer is in
// letters to that customer alone.
func Names(kind Kind) []string {
	all := []string{"Ticket", "About", "Received", "Hours", "Link", "Desk"}
	switch kind {
	case Ack:
		all = append(all, "FirstDue", "ResultDue")
	case NeedInfo:
		all = append(all, "FirstDue", "ResultDue", "Deadline", "Missing")
	case Result, Rejected:
		all = append(all, "Measure")
	case NotOurs:
		all = append(all, "Proof")
	case Warning, Reinstated:
		all = append(all, "Account", "Proof", "Measure", "Deadline")
	case Suspension, Guarantee:
		all = append(all, "Account", "Proof", "Measure")
	case Refused:
		all = append(all, "Account", "Missing")
	case Complaint, National, Listing:
		all = append(all, "Proof", "Measure", "Subject")
	}
	slices.Sort(all)
	return all
}

// Compile checks a letter: every variable is one that its kind has, nothing but variables and
// conditions on them stands in it, and filled in it is not too long.
func Compile(kind Kind, s Source) (Form, []Problem) {
	s = Tidy(s)
	f := Form{kind: kind, source: s}
	out := bounded(s)
	if len(out) > 0 {
		return f, out
	}
	needs, says := map[string]bool{}, map[string]bool{}
	for _, part := range []struct {
		field, text string
		to          **template.Template
	}{{InSubject, s.Subject, &f.subject}, {InBody, s.Body, &f.body}} {
		c := checker{field: part.field, text: part.text, kind: kind, needs: needs, says: says}
		*part.to = c.check()
		out = append(out, c.problems...)
	}
	if len(out) > 0 {
		return f, out
	}
	f.needs, f.says = slices.Sorted(maps.Keys(needs)), slices.Sorted(maps.Keys(says))
	if _, err := f.fill(sample()); err != nil {
		out = append(out, Unwritten(err))
	}
	return f, out
}

// Tidy is a source as it is kept: without empty lines around it.
func Tidy(s Source) Source {
	s.Subject = strings.TrimSpace(s.Subject)
	s.Body = strings.TrimRight(strings.TrimLeft(strings.ReplaceAll(s.Body, "\r\n", "\n"), "\n"), " \t\n") + "\n"
	return s
}

func bounded(s Source) (out []Problem) {
	for _, part := range []struct {
		field, text string
		most        int
	}{{InSubject, s.Subject, MaxSubject}, {InBody, s.Body, MaxSource}} {
		switch {
		case !utf8.ValidString(part.text):
			out = append(out, wrong(part.field, 1, 1, said.Say("letter.no-utf-8", "no UTF-8")))
		case strings.TrimSpace(part.text) == "":
			out = append(out, wrong(part.field, 1, 1, said.Say("letter.no-text", "there is no text")))
		case len(part.text) > part.most:
			out = append(out, wrong(part.field, 1, 1, said.Say("letter.long", "it has %d octets, at most %d are kept", "n", len(part.text), "most", part.most)))
		}
	}
	if i := strings.IndexAny(s.Subject, "\r\n"); i >= 0 {
		out = append(out, wrong(InSubject, 1, utf8.RuneCountInString(s.Subject[:i])+1, said.Say("letter.one-line", "a subject is one line")))
	}
	return out
}

// checker looks through one text of a letter.
type checker struct {
	field, text string
	kind        Kind
	needs, says map[string]bool
	problems    []Problem
	inside      []string // variables that are known to be there: {{with .X}}
}

var (
	parserSays = regexp.MustCompile(`^template: letter:(\d+):(?:\d+:)? ?(.*)$`)
	begunAt    = regexp.MustCompile(` started at letter:(\d+)$`)
)

func (c *checker) check() *template.Template {
	t, err := template.New("letter").Option("missingkey=error").Parse(c.text)
	if err != nil {
		line, says := 1, err.Error()
		if m := parserSays.FindStringSubmatch(says); m != nil {
			line, _ = strconv.Atoi(m[1])
			says = m[2]
		}
		if m := begunAt.FindStringSubmatch(says); m != nil {
			line, _ = strconv.Atoi(m[1])
			says = strings.TrimSuffix(says, m[0])
		}
		c.problems = append(c.problems, wrong(c.field, line, c.opening(line), unread(says)))
		return nil
	}
	if len(t.Templates()) > 1 || t.Tree == nil || t.Root == nil {
		c.problems = append(c.problems, wrong(c.field, 1, 1, said.Say("letter.define", "a letter has no templates of its own: {{define}}")))
		return t
	}
	c.list(t.Root)
	return t
}

// unread is what the parser of templates says.
func unread(says string) said.Words {
	switch {
	case says == "unclosed action":
		return said.Say("letter.unclosed", "unclosed action")
	case says == "unexpected EOF":
		return said.Say("letter.unexpected-end", "unexpected EOF")
	case strings.HasPrefix(says, "function ") && strings.HasSuffix(says, " not defined"):
		return said.Say("letter.no-function", "function %s not defined", "name", strings.TrimSuffix(strings.TrimPrefix(says, "function "), " not defined"))
	}
	return said.Say("letter.unread", "%s", "what", says)
}

// opening is the column of the last {{ in a line, where the parser says the line alone.
func (c *checker) opening(line int) int {
	all := strings.Split(c.text, "\n")
	if line < 1 || line > len(all) {
		return 1
	}
	return utf8.RuneCountInString(all[line-1][:max(strings.LastIndex(all[line-1], "{{"), 0)]) + 1
}

func (c *checker) fault(pos parse.Pos, what said.Words) {
	before := c.text[:min(int(pos), len(c.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	c.problems = append(c.problems, wrong(c.field, strings.Count(before, "\n")+1, utf8.RuneCountInString(before[start:])+1, what))
}

func (c *checker) list(l *parse.ListNode) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode, *parse.CommentNode:
		case *parse.ActionNode:
			if name := c.variable(n.Pipe); name != "" && name != "Link" && !slices.Contains(c.inside, name) {
				c.needs[name] = true
			}
		case *parse.IfNode:
			c.branch(&n.BranchNode)
		case *parse.WithNode:
			c.branch(&n.BranchNode)
		default:
			c.fault(n.Position(), said.Say("letter.only", "only variables, {{if .Name}} and {{with .Name}} can stand in a letter"))
		}
	}
}

func (c *checker) branch(n *parse.BranchNode) {
	name := c.variable(n.Pipe)
	c.inside = append(c.inside, name)
	c.list(n.List)
	c.inside = c.inside[:len(c.inside)-1]
	c.list(n.ElseList)
}

// variable is the one that a pipe says; "" = the dot of a {{with}}, or none.
func (c *checker) variable(p *parse.PipeNode) string {
	if len(p.Decl) == 0 && len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 {
		switch n := p.Cmds[0].Args[0].(type) {
		case *parse.DotNode:
			if len(c.inside) > 0 {
				return ""
			}
		case *parse.FieldNode:
			return c.known(n)
		}
	}
	c.fault(p.Position(), said.Say("letter.only-variable", "only a variable can stand here, like {{.Ticket}}"))
	return ""
}

func (c *checker) known(n *parse.FieldNode) string {
	name, all := strings.Join(n.Ident, "."), Names(c.kind)
	if slices.Contains(all, name) {
		c.says[name] = true
		return name
	}
	if slices.Contains(every(), name) {
		c.fault(n.Position(), said.Say("letter.may-not-say", "the letter %s may not say .%s; it may say %s", "letter", c.kind, "name", name, "names", strings.Join(all, ", ")))
	} else {
		c.fault(n.Position(), said.Say("letter.no-variable", "there is no variable .%s, but %s", "name", name, "names", strings.Join(all, ", ")))
	}
	return ""
}

// every is all variables of all kinds.
func every() (out []string) {
	for _, k := range Kinds() {
		out = append(out, Names(k)...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// sample has something everywhere, to try a letter with.
func sample() Vars {
	t := When{time.Date(2026, 2, 14, 17, 30, 0, 0, time.UTC)}
	return Vars{Ticket: "A-2026-000042", About: "a…@x.example", Account: "anna@x.example", Received: t, FirstDue: t, ResultDue: t, Deadline: t, Hours: "09:00-18:00", Link: "https://desk.example/",
		Missing: "–", Proof: "–", Measure: "–", Subject: "–", Desk: "–"}
}

// Sample is what a letter is shown with before there is a case: values of nobody.
func Sample(language string, kind Kind, desk, hours string) Vars {
	v := sample()
	v.Desk, v.Hours, v.Proof, v.Subject, v.Missing = desk, hours, NoProof(language), "Re: 42", "…"
	state := map[Kind]string{Warning: "WARNED", Suspension: "SUSPENDED", Reinstated: "PROBATION", Rejected: "REJECTED"}[kind]
	if state == "" {
		state = "RESOLVED"
	}
	v.Measure = Measure(language, state, 0)
	return v
}

func (f Form) fill(v Vars) (Text, error) {
	var subject, body bytes.Buffer
	if err := errors.Join(f.subject.Execute(&subject, v), f.body.Execute(&body, v)); err != nil {
		return Text{}, err
	}
	t := Text{Subject: strings.Join(strings.Fields(subject.String()), " "), Body: strings.TrimLeft(body.String(), "\n")}
	if len(t.Body) > MaxBody {
		return t, said.Errorf("letter.long-sent", "it has %d octets, at most %d are sent", "n", len(t.Body), "most", MaxBody)
	}
	return t, nil
}

// Write fills a letter in. The error is ErrLetter where something it says is not known.
func (f Form) Write(v Vars) (Text, error) {
	if empty := f.empty(v); len(empty) > 0 {
		return Text{}, said.Errorf("letter.says-and-that-is-not-known", "%w: %s says %s, and that is not known", "kind", ErrLetter, "letter", f.kind, "empty", strings.Join(empty, ", "))
	}
	t, err := f.fill(v)
	if err != nil {
		return t, said.Errorf("detail", "%w: %w", "kind", ErrLetter, "what", err)
	}
	return t, nil
}

// empty names the variables that the letter needs and v does not have.
func (f Form) empty(v Vars) (out []string) {
	has := map[string]string{
		"Ticket": v.Ticket, "About": v.About, "Account": v.Account, "Received": v.Received.String(), "FirstDue": v.FirstDue.String(), "ResultDue": v.ResultDue.String(),
		"Deadline": v.Deadline.String(), "Hours": v.Hours, "Missing": v.Missing, "Proof": v.Proof, "Measure": v.Measure, "Subject": v.Subject, "Desk": v.Desk,
	}
	for _, name := range f.needs {
		if has[name] == "" {
			out = append(out, name)
		}
	}
	return out
}

// Without are the variables that f cannot do without and other does not say at all.
func (f Form) Without(other Form) (out []string) {
	for _, name := range f.needs {
		if !slices.Contains(other.says, name) {
			out = append(out, name)
		}
	}
	return out
}
