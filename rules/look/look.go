// Package look shows a message to patterns: each way to look at one yields texts, inside
// bounds.
package look

import (
	"strings"

	"postern/filter"
	"postern/internal/mime"
	"postern/internal/mime/header"
	"postern/internal/said"
)

// Bounds of what one message makes the patterns read.
const (
	RawBytes   = 1 << 20 // of the message as received, read in stretches
	MaxValues  = 500     // links, file names or fields of one name
	ValueBytes = 8 << 10 // of one of those
	MaxBlock   = 256 << 10
)

// Ways are the ways to look at a message, as rule files write them.
func Ways() []string {
	return []string{"subject", "from", "header:NAME", "fields:NAME", "fields:NAME:addr", "fields:NAME:name", "fields:NAME:raw",
		"part:NAME", "headers", "headers:raw", "mailfrom", "body", "paragraphs", "html", "rawbody", "url", "uri", "filename", "raw"}
}

// Parse reads a way to look as rule files write it: in is its first word, of the names of
// fields and what is taken of them, in lower case. The error is for people.
func Parse(word string) (in, of string, err error) {
	in, of, named := strings.Cut(word, ":")
	switch in {
	case "header", "part", "fields":
		names, take := of, ""
		if in == "fields" {
			names, take, _ = strings.Cut(of, ":")
		}
		for name := range strings.SplitSeq(names, ",") {
			if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || r == ':' }) {
				return in, of, said.Errorf("rule.is-no-name-of-a-header-field", "%.40q is no name of a header field", "of", of)
			}
		}
		switch {
		case word == in+":NAME":
			return in, of, said.Errorf("rule.write-the-name-of-the-field-behind", "write the name of the field behind \"%s:\"", "in", in)
		case take != "" && take != "addr" && take != "name" && take != "raw":
			return in, of, said.Errorf("rule.expected-addr-name-or-raw-behind-the", "expected addr, name or raw behind the field; found %.40q", "take", take)
		}
		return in, strings.ToLower(of), nil
	case "headers":
		if !named || of == "raw" {
			return in, of, nil
		}
	case "subject", "from", "mailfrom", "body", "paragraphs", "html", "rawbody", "url", "uri", "filename", "raw":
		if !named {
			return in, "", nil
		}
	}
	return in, of, said.Errorf("rule.expected-one-of-found", "expected one of %s; found %.40q", "ways", strings.Join(Ways(), ", "), "word", word)
}

// Word writes a way to look as Parse reads it.
func Word(in, of string) string {
	if of == "" {
		return in
	}
	return in + ":" + of
}

// IsProse tells that a way shows text as a reader sees it.
func IsProse(in string) bool {
	return in == "subject" || in == "from" || in == "body" || in == "paragraphs"
}

// Folds tells that a way shows what people read, where letters may stand for others.
func Folds(in, of string) bool {
	switch in {
	case "header", "fields", "part", "filename":
		return !strings.HasSuffix(of, ":raw")
	case "headers":
		return of != "raw"
	}
	return IsProse(in)
}

// Text is one text that a way shows.
type Text struct {
	Text  string
	Parts []int // where parts of the message begin in it, behind the first
}

// Shown is what a way shows of a message.
type Shown struct {
	Texts []Text
	Cut   bool // a bound kept something out
}

func texts(all ...string) Shown {
	var s Shown
	for _, t := range all {
		s.Texts = append(s.Texts, Text{Text: t})
	}
	return s
}

func one(text string, parts []int) Shown { return Shown{Texts: []Text{{text, parts}}} }

// Texts are the texts that a way shows of a message. The error is that of reading it.
func Texts(in, of string, m *filter.Message, tree *mime.Tree) (Shown, error) {
	switch in {
	case "subject":
		return texts(tree.Subject()), nil
	case "from":
		return fields(tree.Root, "From"), nil
	case "header":
		return fields(tree.Root, of), nil
	case "fields":
		return joined(tree, of), nil
	case "part":
		return partFields(tree, of), nil
	case "headers":
		return block(tree, of == "raw"), nil
	case "mailfrom":
		return texts(m.From), nil
	case "body":
		at, _ := tree.Starts()
		return one(tree.Text(), at), nil
	case "paragraphs":
		return one(paragraphs(tree)), nil
	case "html":
		_, at := tree.Starts()
		return one(tree.HTMLText(), at), nil
	case "rawbody":
		return texts(tree.Sources()...), nil
	case "url":
		var out []string
		for _, u := range tree.URLs() {
			out = append(out, u.Raw)
		}
		return bounded(out), nil
	case "uri":
		return uris(tree), nil
	case "filename":
		return bounded(tree.FileNames()), nil
	default:
		return raw(m)
	}
}

// fields are the decoded values of all fields of one name.
func fields(p *mime.Part, name string) Shown {
	var out []string
	for _, value := range p.Header.All(name) {
		out = append(out, header.Words(value))
	}
	return bounded(out)
}

// bounded keeps as many values, and as much of each, as one message is searched for.
func bounded(values []string) Shown {
	seen := map[string]bool{}
	var out Shown
	for _, v := range values {
		if len(v) > ValueBytes {
			v, out.Cut = v[:ValueBytes], true
		}
		if seen[v] {
			continue
		}
		if len(out.Texts) == MaxValues {
			out.Cut = true
			break
		}
		seen[v] = true
		out.Texts = append(out.Texts, Text{Text: v})
	}
	return out
}
