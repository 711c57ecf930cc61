package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"

	"postern/internal/desk/words"
	"postern/internal/said"
)

// functions are what a template may call, in a language.
func (k *Kit) functions(l *words.Language) template.FuncMap {
	return template.FuncMap{
		"t":        l.Say,
		"has":      l.Has,
		"number":   func(n any) string { return l.Number(integer(n)) },
		"score":    func(hundredths any) string { return l.Decimal(integer(hundredths)) },
		"size":     func(octets any) string { return l.Size(integer(octets)) },
		"time":     l.Time,
		"day":      l.Day,
		"ago":      func(t time.Time) string { return l.Ago(t, k.o.Now()) },
		"span":     l.Span,
		"machine":  func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"asset":    k.assets.path,
		"query":    Query,
		"pairs":    pairs,
		"sentence": func(key string, nameValues []any) string { return l.Say(key, nameValues...) },
		"reason":   func(symbol, describe string) string { return k.reason(l, symbol, describe) },
		"help":     func(english string) string { return k.o.Words.Help(l, english) },
		"said":     func(w said.Words, english string) string { return Say(l, w, english) },
		"join":     strings.Join,
		"lower":    strings.ToLower,
		"json": func(v any) (string, error) {
			raw, err := json.Marshal(v)
			return string(raw), err
		},
	}
}

// Say is a sentence of the program in a language, or its English where it has no code: what
// people wrote, and records from before there were codes.
func Say(l *words.Language, w said.Words, english string) string {
	if text, ok := l.Said(w); ok && l.Name != words.Default {
		return text
	}
	return english
}

// reason is what a symbol says, translated where the rule in force says what the default one does.
func (k *Kit) reason(l *words.Language, symbol, describe string) string {
	if text, ok := k.o.Words.Reason(l, symbol, describe); ok {
		return text
	}
	return describe
}

func integer(v any) int64 {
	switch n := v.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	case int32:
		return int64(n)
	case uint64:
		return int64(min(n, 1<<62))
	case uint32:
		return int64(n)
	case float64:
		return int64(n)
	}
	return 0
}

// Query writes a query string from names and values; what is empty is left out.
func Query(nameValues ...string) template.URL {
	v := url.Values{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		if nameValues[i+1] != "" {
			v.Set(nameValues[i], nameValues[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return template.URL("?" + v.Encode()) //nolint:gosec // Encode leaves nothing that could end the attribute
}

// pairs hands several values to a part of a page.
func pairs(nameValues ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(nameValues); i += 2 {
		name, ok := nameValues[i].(string)
		if !ok {
			return nil, fmt.Errorf("pairs: %v is no name", nameValues[i])
		}
		m[name] = nameValues[i+1]
	}
	return m, nil
}
