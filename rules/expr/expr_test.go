package expr_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"postern/rules/expr"
)

func TestEval(t *testing.T) {
	has := func(s string) bool { return s == "AA" || s == "BB" }
	for src, want := range map[string]bool{
		"AA":                         true,
		"XX":                         false,
		"not XX":                     true,
		"not not AA":                 true,
		"AA and BB":                  true,
		"AA and XX":                  false,
		"AA or XX":                   true,
		"XX or YY or BB":             true,
		"not AA or BB":               true,
		"not (AA or BB)":             false,
		"AA or XX and YY":            true, // and binds tighter
		"(AA or XX) and YY":          false,
		"not XX and AA":              true, // not binds tighter
		"AA and (BB or (XX))":        true,
		"AA\n\tand\r\nBB":            true,
		"(AA)and(BB)":                true,
		"not(XX)":                    true,
		"AA and BB and not XX":       true,
		"XX and AA or BB and not YY": true,
		"2 of (AA, BB, XX)":          true,
		"2 of (AA, XX, YY)":          false,
		"1 of (XX, AA)":              true,
		"3 of (AA, AA, not XX)":      true,
		"2 of(XX or AA,AA and YY)":   false,
		"XX or 1 of (AA) and BB":     true,
		"not 1 of (XX, YY)":          true,
		"2 of (XX, 1 of (AA), BB)":   true,
	} {
		e, err := expr.Parse(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		if got := e.Eval(has); got != want {
			t.Errorf("%s = %v", src, got)
		}
	}
}

func TestErrors(t *testing.T) {
	for src, want := range map[string]string{
		"":                                "at character 1: ends where a symbol was expected",
		"2 of (AA)":                       "at character 1: 2 of 1: expected 1 to 1",
		"0 of (AA)":                       "at character 1: 0 of 1: expected 1 to 1",
		"AA or 2 AA":                      `at character 9: "AA" where "of" was expected`,
		"2 of AA":                         `at character 6: "AA" where "(" was expected`,
		"2 of (AA BB)":                    `at character 10: "BB" where "," or ")" was expected`,
		"2 of (AA,":                       "at character 10: ends where a symbol was expected",
		"99999999999999999999 of (AA)":    "at character 1: 99999999999999999999 of 1",
		"AA and":                          "at character 7: ends where a symbol was expected",
		"AA BB":                           `at character 4: "BB" where "and", "or" or the end was expected`,
		"(AA or BB":                       `at character 10: ends where ")" was expected`,
		"AA)":                             `at character 3: ")" where "and", "or" or the end was expected`,
		"aa":                              `at character 1: "aa" where a symbol was expected`,
		"AA AND BB":                       `at character 4: "AND" where "and", "or" or the end was expected`,
		"AA && BB":                        `at character 4: "&" where`,
		"and":                             `at character 1: "and" where a symbol was expected`,
		"not":                             "at character 4: ends where a symbol was expected",
		"AA or or BB":                     `at character 7: "or" where a symbol was expected`,
		"()":                              `at character 2: ")" where a symbol was expected`,
		strings.Repeat("(", 200) + "AA":   "nested deeper than 100",
		strings.Repeat("not ", 200) + "A": "nested deeper than 100",
		strings.Repeat("AA or ", 1000):    "longer than 4096 bytes",
	} {
		_, err := expr.Parse(src)
		var bad *expr.Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", src, err, want)
		}
	}
}

func TestNames(t *testing.T) {
	e, err := expr.Parse("BB and (not AA or BB)")
	if err != nil || !slices.Equal(e.Names(), []string{"AA", "BB"}) {
		t.Errorf("%v %v", e.Names(), err)
	}
	var zero expr.Expr
	if zero.Eval(func(string) bool { return true }) || len(zero.Names()) != 0 {
		t.Error("the empty condition is true")
	}
}

func TestValidName(t *testing.T) {
	for s, want := range map[string]bool{"SPF_FAIL": true, "R2": true, "A": false, "": false, "_A": false, "2A": false, "Spf": false, "SPF-FAIL": false, strings.Repeat("A", 64): true, strings.Repeat("A", 65): false} {
		if expr.ValidName(s) != want {
			t.Errorf("%s", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"AA", "not AA and (BB or CC)", "((", "and or not", "AA\x00BB", "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		e, err := expr.Parse(src)
		if err != nil {
			var bad *expr.Error
			if !errors.As(err, &bad) || bad.Offset < 0 || bad.Offset > len(src) {
				t.Errorf("%q: no place in %v", src, err)
			}
			return
		}
		if len(e.Names()) == 0 {
			t.Errorf("%q parses without a symbol", src)
		}
		all := e.Eval(func(string) bool { return true })
		if e.Eval(func(string) bool { return true }) != all {
			t.Errorf("%q is not stable", src)
		}
	})
}
