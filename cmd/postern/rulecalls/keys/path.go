package keys

import (
	"regexp"
	"strings"
)

// maxLook bounds the text that is looked at, in octets.
const maxLook = 256 << 10

// level is one step of the path to a place.
type level struct {
	indent int
	name   string
}

var keyLine = regexp.MustCompile(`^("[^"]*"|'[^']*'|[^\s"'{}\[\],&*#?|>%@-][^:#{}\[\],"']*|-?[A-Za-z0-9_.*@+-]+)\s*:(\s|$)`)

// PathAt is the path of the keys around a place: "patterns[].tests.hit". It goes by
// indentation, so that it works in a text that is not whole yet.
func PathAt(text string, line, column int) string {
	lines := strings.Split(text[:min(len(text), maxLook)], "\n")
	if line > len(lines) {
		line = len(lines)
	}
	var path []level
	for i := range line {
		at := lines[i]
		if i == line-1 {
			at = upTo(at, column)
		}
		path = step(path, at, i == line-1)
	}
	var b strings.Builder
	for _, l := range path {
		if l.name == "[]" {
			b.WriteString("[]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(l.name)
	}
	return b.String()
}

// upTo is a line up to a column, and to the end of the word that stands there.
func upTo(line string, column int) string {
	if column < 1 {
		return line
	}
	end := 0
	for i := range line { // columns count characters
		if column--; column == 0 {
			break
		}
		end = i + 1
	}
	if column > 0 {
		return line
	}
	for end > 0 && line[end-1] != ' ' && end < len(line) && (line[end] == '_' || line[end] >= 'a' && line[end] <= 'z' || line[end] >= 'A' && line[end] <= 'Z' || line[end] == ':') {
		end++
	}
	return line[:end]
}

// step is the path after a line.
func step(path []level, line string, last bool) []level {
	bare := strings.TrimLeft(line, " ")
	indent := len(line) - len(bare)
	if strings.HasPrefix(bare, "#") || strings.TrimSpace(bare) == "" && !last {
		return path
	}
	item := func(at int) bool { // a list may stand as deep as the key that it belongs to
		return at == indent && strings.HasPrefix(bare, "- ") && path[len(path)-1].name != "[]"
	}
	for len(path) > 0 && path[len(path)-1].indent >= indent && !item(path[len(path)-1].indent) {
		path = path[:len(path)-1]
	}
	for strings.HasPrefix(bare, "- ") || bare == "-" {
		path = append(path, level{indent, "[]"})
		rest := strings.TrimLeft(bare[1:], " ")
		indent += len(bare) - len(rest)
		bare = rest
	}
	if m := keyLine.FindStringSubmatch(bare); m != nil {
		path = append(path, level{indent, strings.Trim(strings.TrimSpace(m[1]), `"'`)})
		bare = strings.TrimSpace(bare[len(m[0]):])
	}
	return flow(path, bare, indent, last)
}

// flow follows {a: 1, b: [..]} on a line. What is closed again leaves the path as it was.
func flow(path []level, rest string, indent int, last bool) []level {
	base := len(path)
	var opened []int
	word, quote := "", byte(0)
	for i := 0; i < len(rest); i++ {
		c := rest[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' && (i == 0 || rest[i-1] == ' '):
			i = len(rest)
		case c == '{' || c == '[':
			opened = append(opened, len(path))
			if c == '[' {
				path = append(path, level{indent + 1, "[]"})
			}
			word = ""
		case (c == '}' || c == ']') && len(opened) > 0:
			path, opened, word = path[:opened[len(opened)-1]], opened[:len(opened)-1], ""
		case c == ',' && len(opened) > 0:
			keep := opened[len(opened)-1]
			if len(path) > keep && path[keep].name == "[]" {
				keep++
			}
			path, word = path[:min(keep, len(path))], ""
		case c == ':' && len(opened) > 0 && word != "":
			path, word = append(path, level{indent + 1, strings.TrimSpace(word)}), ""
		default:
			word += string(c)
		}
	}
	if !last && len(opened) == 0 && len(path) > base {
		path = path[:base]
	}
	return path
}
