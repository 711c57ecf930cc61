package history

import (
	"strings"

	"postern/filter"
	"postern/internal/mime"
)

// Bounds of a List-Id field: RFC 2919 section 3 bounds the identifier, nobody writes a longer
// phrase.
const (
	maxListID    = 255
	maxListField = 2048
)

// ListID reads the list identifier out of the value of a List-Id field (RFC 2919 section 2)
// in lower case; ok is false for what is none, and for one without angle brackets.
func ListID(value string) (id string, ok bool) {
	if len(value) > maxListField {
		return "", false
	}
	start := openBracket(value)
	if start < 0 {
		return "", false
	}
	inner, rest, closed := strings.Cut(value[start+1:], ">")
	if !closed || !onlyComments(rest) {
		return "", false
	}
	id = strings.ToLower(strings.TrimSpace(inner))
	if len(id) > maxListID || !strings.Contains(id, ".") || !isListID(id) {
		return "", false
	}
	return id, true
}

// openBracket is the offset of the first "<" outside quoted strings and comments, or -1.
func openBracket(s string) int {
	quoted, depth := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case c == '<' && depth == 0:
			return i
		}
	}
	return -1
}

// onlyComments reports whether s holds nothing but blanks and comments.
func onlyComments(s string) bool {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return false
		}
	}
	return depth == 0
}

// isListID reports whether id is a dot-atom-text (RFC 5322 section 3.2.3).
func isListID(id string) bool {
	for label := range strings.SplitSeq(id, ".") {
		if label == "" {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) < 0 {
				return false
			}
		}
	}
	return true
}

// listOf is the identifier of the list a message came through, or "": a single List-Id and
// one more field that lists write.
func listOf(m *filter.Message) string {
	if m.Parts == nil {
		return ""
	}
	tree, err := m.Parts()
	if err != nil || tree == nil {
		return ""
	}
	ids := tree.Root.Header.All("List-Id")
	if len(ids) != 1 || !listFields(&tree.Root.Header) {
		return ""
	}
	id, _ := ListID(ids[0])
	return id
}

func listFields(h *mime.Header) bool {
	return h.Has("List-Post") || h.Has("List-Unsubscribe") || h.Has("Mailing-List") ||
		strings.EqualFold(strings.TrimSpace(h.Get("Precedence")), "list")
}

// mailingList is a list whose host is proved.
type mailingList struct{ id, host string }

// provedList is the list of a message, if SPF or a signature passed for the organization its
// identifier is named after. A list with an identifier of nobody's (".localhost") has none.
func (f *facts) provedList(m *filter.Message) (l mailingList, ok bool) {
	if l.id = listOf(m); l.id == "" {
		return l, false
	}
	host := asciiDomain(l.id)
	if host == "" { // the label of the list may be no host label, its namespace is one
		_, namespace, _ := strings.Cut(l.id, ".")
		host = asciiDomain(namespace)
	}
	l.host = organization(host)
	return l, l.host != "" && f.proves(l.host)
}

func (l mailingList) key() Key { return keyOf("list", l.id, l.host) }
