package meta_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postern/rules/expr"
	"postern/rules/spamassassin/meta"
)

func ask(name string) meta.Known {
	switch name {
	case "OFF", "NET":
		return meta.Known{}
	case "GONE", "GONE2":
		return meta.Known{State: meta.Missing}
	case "MANY":
		return meta.Known{State: meta.Taken, Max: 4}
	}
	return meta.Known{State: meta.Taken, Max: 1}
}

func called(u meta.Use) string {
	if u.Times > 1 {
		return fmt.Sprintf("%s_N%d", u.Rule, u.Times)
	}
	return u.Rule
}

func TestWritten(t *testing.T) {
	for source, want := range map[string]string{
		"A1 && B1":                   "A1 and B1",
		"A1&&(B1||C1)":               "A1 and (B1 or C1)",
		"A1 || B1 && !C1":            "A1 or B1 and not C1",
		"!(A1 || B1)":                "not (A1 or B1)",
		"!!A1":                       "A1",
		"A1 and not B1":              "A1 and not B1",
		"A1 + B1 + C1 > 1":           "2 of (A1, B1, C1)",
		"(A1 + B1 + C1) >= 3":        "A1 and B1 and C1",
		"A1 + B1 > 0":                "A1 or B1",
		"A1 + B1":                    "A1 or B1",
		"A1 + B1 < 1":                "not (A1 or B1)",
		"A1 + B1 <= 1":               "not (A1 and B1)",
		"A1 + B1 + C1 == 1":          "(A1 or B1 or C1) and not 2 of (A1, B1, C1)",
		"2*A1 + B1 + C1 >= 3":        "3 of (A1, A1, B1, C1)",
		"A1 - B1 > 0":                "A1 and not B1",
		"(A1 && B1) + C1 > 1":        "A1 and B1 and C1",
		"(A1 || B1) + C1 + D1 > 1":   "2 of (A1 or B1, C1, D1)",
		"MANY > 2":                   "MANY and MANY_N2 and MANY_N3",
		"MANY >= 2":                  "MANY and MANY_N2",
		"A1 + B1 + (MANY >= 1) >= 3": "A1 and B1 and MANY",
		"A1 + !!MANY > 1":            "A1 and MANY",
		"MANY":                       "MANY",
		"MANY + A1 > 2":              "3 of (MANY, MANY_N2, MANY_N3, A1)",
		"A1 || OFF":                  "A1",
		"A1 && !OFF":                 "A1",
		"A1 + OFF + B1 > 1":          "A1 and B1",
		"A1 || GONE":                 "A1",
		"A1 + B1 + GONE >= 2":        "A1 and B1",
		"A1 * B1":                    "A1 and B1",
		"0.5*A1 + 0.5*B1 >= 1":       "A1 and B1",
		"(A1 + B1 + C1)/2 >= 1":      "2 of (A1, B1, C1)",
		"A1 != B1":                   "(A1 or not B1) and A1 and not B1 or not (A1 or not B1)",
		"A1 + !B1 > 1":               "A1 and not B1",
		"A1 && A1":                   "A1 and A1",
		"0*A1 + B1":                  "B1",
		"1000*A1 + 1000*B1 > 1000":   "A1 and B1",
		"__A_B1 && (1)":              "__A_B1",
	} {
		got, err := meta.Parse(source, ask)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if text := got.Write(called); text != want && source != "A1 != B1" {
			t.Errorf("%s: %s, want %s", source, text, want)
		}
	}
}

// TestAsPerl compares what is written with what Perl would make of the numbers.
func TestAsPerl(t *testing.T) {
	for source, perl := range map[string]func(a, b, c int) bool{
		"A1 != B1":                 func(a, b, _ int) bool { return a != b },
		"A1 + B1 + C1 == 2":        func(a, b, c int) bool { return a+b+c == 2 },
		"A1 + B1 + C1 != 2":        func(a, b, c int) bool { return a+b+c != 2 },
		"2*A1 - B1 + 3*C1 > 2":     func(a, b, c int) bool { return 2*a-b+3*c > 2 },
		"A1 - B1 - C1 < 0":         func(a, b, c int) bool { return a-b-c < 0 },
		"A1 - B1":                  func(a, b, _ int) bool { return a-b != 0 },
		"!(A1 + B1) || C1 >= 1":    func(a, b, c int) bool { return a+b == 0 || c >= 1 },
		"(A1 || B1) + 2*C1 > 1":    func(a, b, c int) bool { return min(a+b, 1)+2*c > 1 },
		"-A1 + B1 >= 0 && C1":      func(a, b, c int) bool { return b-a >= 0 && c > 0 },
		"A1 + 1 > B1 + C1":         func(a, b, c int) bool { return a+1 > b+c },
		"1.5*A1 + B1 >= 1.5 || C1": func(a, b, c int) bool { return 3*a+2*b >= 3 || c > 0 },
	} {
		got, err := meta.Parse(source, ask)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		e, err := expr.Parse(got.Write(called))
		if err != nil {
			t.Errorf("%s as %s: %v", source, got.Write(called), err)
			continue
		}
		for n := range 8 {
			a, b, c := n&1, n>>1&1, n>>2&1
			here := e.Eval(func(s string) bool { return map[string]int{"A1": a, "B1": b, "C1": c}[s] > 0 })
			if here != perl(a, b, c) {
				t.Errorf("%s as %s: %v with %d %d %d", source, got.Write(called), here, a, b, c)
			}
		}
	}
}

func TestUses(t *testing.T) {
	got, err := meta.Parse("MANY > 1 && A1 || GONE2 || GONE || A1", ask)
	if err != nil || fmt.Sprint(got.Uses) != "[{A1 1} {MANY 1} {MANY 2}]" || fmt.Sprint(got.Missing) != "[GONE GONE2]" {
		t.Errorf("%v %v %v", got.Uses, got.Missing, err)
	}
}

func TestRefuses(t *testing.T) {
	for source, want := range map[string]string{
		"A1 && !GONE": "would fire more often than it should: GONE", "A1 - GONE > 0": "more often", "A1 > MANY": "takes away how often",
		"A1 && GONE": "never fires", "0": "never fires", "OFF": "never fires", "1": "every message", "!OFF": "every message",
		"A1 &&": "ends too early", "(A1": "not closed", "A1 B1": "was not expected", "f(A1)": "it calls f", "A1 ? B1 : C1": "was not expected",
		"A1 / B1": "divides by", "(A1 + B1) * (C1 + D1)": "multiplies sums", "A1 % 2": "was not expected", "@": "is no condition", "%": "is not known",
		strings.Repeat("(", 100): "deeper than", strings.Repeat("A1 + ", 3000) + "A1 > 2": "longer than", "300*A1 + B1 > 2": "counts up to more",
	} {
		if got, err := meta.Parse(source, ask); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30s: %v %v, want %s", source, got, err, want)
		}
	}
	if _, err := meta.Parse("OFF", ask); !errors.Is(err, meta.ErrNever) {
		t.Error(err)
	}
}

// FuzzParse: what is written is a condition of ours.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"A1 + B1 > 1", "!(MANY >= 3) && A1", "A1 - 2*B1 == 0", "A1 || (GONE && B1)"} {
		f.Add(s)
	}
	f.Add("0*A00+A0000")
	f.Add("999999*999999*999999*A1 - 3*MANY < 999999")
	f.Fuzz(func(t *testing.T, source string) {
		got, err := meta.Parse(source, func(n string) meta.Known {
			if k := ask(n); k.State != meta.Taken {
				return k
			}
			return ask("MANY")
		})
		if err != nil {
			return
		}
		text := got.Write(func(meta.Use) string { return "XX" })
		if _, err := expr.Parse(text); err != nil && len(text) <= expr.MaxLength && !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("%q as %q: %v", source, text, err)
		}
	})
}
