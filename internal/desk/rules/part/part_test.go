package part

import "testing"

func TestNumbersOfForms(t *testing.T) {
	for s, want := range map[string]int{
		"":               0,
		"0":              0,
		"24":             24,
		"-1":             0,
		"1e3":            0,
		"12 ":            0,
		"99999999999999": 0,
	} {
		if got := Number(s); got != want {
			t.Errorf("%q is %d", s, got)
		}
	}
}
