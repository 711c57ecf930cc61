// Package said keeps a sentence together with what it was made from: a stable code and named
// values. Whoever reads English takes the sentence; whoever speaks another language looks the
// code up and fills the values in. Refusals are such sentences, and so are the reasons that the
// program writes into its records.
package said

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Around is the code of a sentence that stands inside words of others: a place in a file before
// it, for example. Its values are before, said and after.
const Around = "around"

// And is the code of two sentences in a row. Its values are before and what.
const And = "and"

// Values are what a sentence names: a string, an int64, or Words.
type Values map[string]any

// Words are a sentence. Without a code it is only what English says.
type Words struct {
	Code    string `json:"code,omitempty" jsonschema_description:"which sentence it is; it stays the same when the sentence is reworded"`
	Values  Values `json:"values,omitempty" jsonschema_description:"what the sentence names: texts, numbers, or sentences"`
	English string `json:"english,omitempty" jsonschema_description:"the sentence, where it does not stand in the field beside"`
}

// String is the English sentence.
func (w Words) String() string { return w.English }

// Said implements Sayer.
func (w Words) Said() Words { return w }

// Sayer is a value that is a sentence of its own inside another one.
type Sayer interface{ Said() Words }

// Error is a sentence as an error.
type Error struct {
	words Words
	under []error
}

// New returns an error of a fixed sentence.
func New(code, english string) error { return &Error{words: Words{Code: code, English: english}} }

// Errorf returns an error. Pairs are the name and the value of each verb of the format, in their
// order; values that are errors can be found in it by errors.Is whatever their verb is.
func Errorf(code, format string, pairs ...any) error {
	e := &Error{words: Say(code, format, pairs...)}
	for i := 1; i < len(pairs); i += 2 {
		if err, ok := pairs[i].(error); ok {
			e.under = append(e.under, err)
		}
	}
	return e
}

// Error is the English sentence.
func (e *Error) Error() string { return e.words.English }

// Is finds the errors that the sentence names. There is no Unwrap: they are values of one
// sentence, not several errors.
func (e *Error) Is(target error) bool {
	for _, err := range e.under {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As finds them by their type.
func (e *Error) As(target any) bool {
	for _, err := range e.under {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

// Said implements Sayer.
func (e *Error) Said() Words { return e.words }

// Say makes a sentence; pairs are as in Errorf.
func Say(code, format string, pairs ...any) Words {
	w := Words{Code: code}
	values := make([]any, 0, len(pairs)/2)
	verbs := verbsOf(format)
	for i := 0; i+1 < len(pairs); i += 2 {
		values = append(values, pairs[i+1])
		verb := "%v"
		if i/2 < len(verbs) {
			verb = verbs[i/2]
		}
		if w.Values == nil {
			w.Values = Values{}
		}
		w.Values[fmt.Sprint(pairs[i])] = value(verb, pairs[i+1])
	}
	if len(values) == 0 {
		w.English = format
		return w
	}
	w.English = fmt.Errorf(format, values...).Error() //nolint:err113 // it is asked for its text alone
	return w
}

// value is one that a sentence names, as it is kept.
func value(verb string, v any) any {
	switch n := v.(type) {
	case Sayer:
		if w := n.Said(); w.Code != "" {
			return w
		}
	case error:
		if w := Of(n); w.Code != "" {
			return w
		}
	case int:
		return whole(verb, int64(n))
	case int64:
		return whole(verb, n)
	}
	return fmt.Sprintf(strings.Replace(verb, "%w", "%v", 1), v)
}

func whole(verb string, n int64) any {
	if verb != "%d" && verb != "%v" {
		return fmt.Sprintf(verb, n)
	}
	return n
}

// verbsOf are the verbs of a format that take a value.
func verbsOf(format string) []string {
	var out []string
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			continue
		}
		end := i + 1
		for end < len(format) && strings.IndexByte("+-# 0123456789.", format[end]) >= 0 {
			end++
		}
		if end < len(format) && format[end] != '%' {
			out = append(out, format[i:end+1])
		}
		i = end
	}
	return out
}

// Template is the English of a format with the names of its values: "{n} rules are off". Tests
// hold it against the words of the desk.
func Template(format string, names ...string) string {
	for i, verb := range verbsOf(format) {
		if i < len(names) {
			format = strings.Replace(format, verb, "{"+names[i]+"}", 1)
		}
	}
	return strings.ReplaceAll(format, "%%", "%")
}

// spoken finds words of English, in contrast to a place in a file or a name.
var spoken = regexp.MustCompile(`[a-z]{2,} [a-z]{2,}`)

// Of is what an error says. A place or a name before or after a sentence stays as it is; what
// was said around it in words of English is left to English. An error without any sentence has
// no code.
func Of(err error) Words {
	w := Words{English: err.Error()}
	var s Sayer
	if !errors.As(err, &s) {
		return w
	}
	in := s.Said()
	if in.English == w.English {
		return in
	}
	before, after, ok := strings.Cut(w.English, in.English)
	if !ok || in.Code == "" {
		return w
	}
	if spoken.MatchString(before) || spoken.MatchString(after) {
		return Words{Code: in.Code, Values: in.Values, English: w.English}
	}
	w.Code, w.Values = Around, Values{"before": before, "said": in, "after": after}
	return w
}

// Bare is the sentence without its English, for a record in which that stands beside it; the
// sentences in it are bare too, where they have codes.
func (w Words) Bare() Words {
	out := Words{Code: w.Code}
	for name, v := range w.Values {
		if one, ok := v.(Words); ok && one.Code != "" {
			v = one.Bare()
		}
		if out.Values == nil {
			out.Values = Values{}
		}
		out.Values[name] = v
	}
	return out
}

// Join puts sentences in a row.
func Join(all ...Words) Words {
	var out Words
	for i, w := range all {
		if out = Say(And, "%s; %s", "before", out, "what", w); i == 0 {
			out = w
		}
	}
	return out
}

// Typed is what a person wrote: it has no code and is said as it stands.
func Typed(text string) Words { return Words{English: text} }

// Put writes the sentence into a record: its English where records have always had it, code and
// values beside that.
func (w Words) Put(english *string, coded *Words) { *english, *coded = w.English, w.Bare() }

// Kept is the sentence that a record has: what Put wrote.
func Kept(english string, coded Words) Words {
	coded.English = english
	return coded
}

// Map is the sentence with each of its texts as f makes it: the English, and the values that are
// text.
func (w Words) Map(f func(string) string) Words {
	out := Words{Code: w.Code, English: f(w.English)}
	for name, v := range w.Values {
		switch one := v.(type) {
		case string:
			v = f(one)
		case Words:
			v = one.Map(f)
		}
		if out.Values == nil {
			out.Values = Values{}
		}
		out.Values[name] = v
	}
	return out
}

// UnmarshalJSON reads values as they were before they were written.
func (v *Values) UnmarshalJSON(raw []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil || all == nil {
		return err
	}
	*v = Values{}
	for name, one := range all {
		switch one[0] {
		case '"':
			var s string
			if err := json.Unmarshal(one, &s); err != nil {
				return err
			}
			(*v)[name] = s
		case '{':
			var w Words
			if err := json.Unmarshal(one, &w); err != nil {
				return err
			}
			(*v)[name] = w
		default:
			var n int64
			if err := json.NewDecoder(bytes.NewReader(one)).Decode(&n); err != nil {
				return err
			}
			(*v)[name] = n
		}
	}
	return nil
}
