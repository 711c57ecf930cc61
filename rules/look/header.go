package look

import (
	"regexp"
	"strings"

	"postern/internal/mime"
	"postern/internal/mime/header"
)

// joined is all fields of the names as one text, a line each; none when there is no such
// field. of is "to,cc" or "from:addr".
func joined(tree *mime.Tree, of string) Shown {
	names, take, _ := strings.Cut(of, ":")
	var lines []string
	cutOff := false
	for name := range strings.SplitSeq(names, ",") {
		for i := range tree.Root.Header.Fields {
			f := &tree.Root.Header.Fields[i]
			switch {
			case !strings.EqualFold(f.Name, name):
			case len(lines) < MaxValues:
				lines = append(lines, taken(f, take)...)
				cutOff = cutOff || len(f.Raw) > ValueBytes
			default:
				cutOff = true
			}
		}
	}
	if lines == nil {
		return Shown{}
	}
	all := strings.Join(lines, "\n")
	return Shown{Texts: []Text{{Text: cut(all, MaxBlock)}}, Cut: cutOff || len(all) > MaxBlock}
}

// taken is what a way takes of a field: its addresses, their names, its bytes, or its value.
func taken(f *header.Field, take string) []string {
	switch take {
	case "raw":
		return []string{cut(rawValue(f), ValueBytes)}
	case "addr", "name":
		var out []string
		for _, m := range header.Mailboxes(cut(f.Value, ValueBytes)) {
			if take == "addr" {
				out = append(out, m.Address)
			} else {
				out = append(out, m.Name)
			}
		}
		return out
	}
	return []string{decoded(f)}
}

// fold is a line break inside a value and what it goes on with.
var fold = regexp.MustCompile(`\r?\n[ \t]+`)

// decoded is a value on one line, a blank for each fold, encoded words decoded.
func decoded(f *header.Field) string {
	return header.Words(cut(strings.TrimSpace(fold.ReplaceAllString(rawValue(f), " ")), ValueBytes))
}

// rawValue is the value as it came, folds and encoded words kept, lines ending in LF.
func rawValue(f *header.Field) string {
	_, value, _ := strings.Cut(string(f.Raw), ":")
	value = strings.ReplaceAll(value, "\r\n", "\n")
	return strings.TrimRight(strings.TrimLeft(value, " \t"), "\n")
}

// partFields are the decoded values of fields of one name in the headers of all parts, the
// message's own among them.
func partFields(tree *mime.Tree, name string) Shown {
	var out []string
	for _, p := range tree.Parts {
		for _, value := range p.Header.All(name) {
			out = append(out, header.Words(value))
		}
	}
	return bounded(out)
}

// block is the whole header as "Name: value" lines, decoded, or as it came.
func block(tree *mime.Tree, raw bool) Shown {
	var b strings.Builder
	for i := range tree.Root.Header.Fields {
		f := &tree.Root.Header.Fields[i]
		if b.Len() > MaxBlock {
			break
		}
		if raw {
			b.WriteString(strings.ReplaceAll(string(f.Raw), "\r\n", "\n"))
			continue
		}
		b.WriteString(f.Name)
		b.WriteString(": ")
		b.WriteString(decoded(f))
		b.WriteByte('\n')
	}
	return Shown{Texts: []Text{{Text: cut(b.String(), MaxBlock)}}, Cut: b.Len() > MaxBlock}
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
