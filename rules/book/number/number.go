// Package number reads the numbers of rule files.
package number

import (
	"regexp"
	"strconv"
	"strings"

	"postern/filter"
	"postern/internal/said"
)

// Points is a score as written: a decimal number with at most two places.
type Points filter.Score

// maxPoints bounds what may be written, in hundredths.
const maxPoints = 100 * 100

var decimal = regexp.MustCompile(`^(-?)(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,2}))?$`)

// UnmarshalText reads the number exactly, without a float in between. One that cannot be
// read stands as the smallest, so that no later check complains of the same place.
func (p *Points) UnmarshalText(text []byte) error {
	*p = 1
	m := decimal.FindSubmatch(text)
	if m == nil {
		return said.Errorf("rule.expected-a-decimal-number-with-at-most", "expected a decimal number with at most two places, such as 1.5, found %q", "text", strings.ToValidUTF8(string(text[:min(len(text), 40)]), ""))
	}
	whole, err := strconv.Atoi(string(m[2]))
	if err != nil {
		return err
	}
	part, err := strconv.Atoi((string(m[3]) + "00")[:2])
	if err != nil {
		return err
	}
	n := whole*100 + part
	if n > maxPoints {
		return said.Errorf("rule.is-outside-100-to-100", "%s is outside -100 to 100", "text", text)
	}
	if len(m[1]) > 0 {
		n = -n
	}
	*p = Points(n)
	return nil
}

// Waiting is the score from which a stranger is asked to come again; 0 = off.
type Waiting filter.Score

// UnmarshalText reads a threshold or the word off.
func (w *Waiting) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*w = 0
		return nil
	}
	p := (*Points)(w)
	if err := p.UnmarshalText(text); err != nil {
		return err
	}
	if *p <= 0 {
		*p = 1
		return said.New("rule.a-threshold-is-above-0-off-asks", "a threshold is above 0; off asks nobody to come again")
	}
	return nil
}
