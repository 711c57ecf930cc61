package record

import "strings"

// Bounds of the words of replies.
const (
	minReplyWord = 6
	maxReplyWord = 64
	maxWords     = 40 // of a row
)

// ReplyWords are the words of a row's replies by which people look for it: what the server
// behind called the message, and what we called it. Lower case, each once.
func (r *Row) ReplyWords() []string {
	var out []string
	seen := map[string]bool{}
	add := func(text string) {
		for _, w := range replyWords(text) {
			if !seen[w] && len(out) < maxWords {
				seen[w] = true
				out = append(out, w)
			}
		}
	}
	add(r.Reply)
	for _, f := range r.To {
		add(f.Reply)
	}
	return out
}

// replyWords are those of one reply that name something: they have a digit in them, or follow
// what servers write before such a name.
func replyWords(text string) []string {
	var out []string
	named := false
	for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !wordly(r) }) {
		w = strings.ToLower(strings.Trim(w, ".-"))
		if len(w) >= minReplyWord && len(w) <= maxReplyWord && (named || strings.ContainsAny(w, "0123456789")) {
			out = append(out, w)
		}
		named = w == "as" || w == "id"
	}
	return out
}

func wordly(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_' || r == '.'
}

// ReplyWord is a word as ReplyWords has it; "" for what is none.
func ReplyWord(text string) string {
	w := strings.ToLower(strings.Trim(strings.TrimSpace(text), ".-<>()"))
	if len(w) < minReplyWord || len(w) > maxReplyWord || strings.IndexFunc(w, func(r rune) bool { return !wordly(r) }) >= 0 {
		return ""
	}
	return w
}
