package view

import "slices"

// Said is a sentence of the page's texts with its values.
type Said struct {
	Key   string
	Pairs []any
}

func said(key string, pairs ...any) Said { return Said{"cases." + key, pairs} }

// Proven and Unproven say in sentences what is proved about a case and what is not.
func (c Case) Proven() (out []Said) {
	if c.Kind == "external" {
		if c.Source.IP != "" && !c.Source.Time.IsZero() {
			out = append(out, said("is-came", "ip", c.Source.Via(), "time", c.Source.Time))
		}
		if c.Source.Domain != "" {
			out = append(out, said("is-signed-by", "domain", c.Source.Domain))
		}
		return out
	}
	if c.Grade >= 2 && !c.Source.Time.IsZero() {
		who := c.Source.Login
		if who == "" {
			who = c.Account
		}
		out = append(out, said("is-sent", "who", who, "via", c.Source.Via(), "time", c.Source.Time))
	}
	switch c.Grade {
	case 4:
		out = append(out, said("is-signed"))
		if c.Class != "REPLAY" {
			out = append(out, said("is-recipient"))
		}
	case 3:
		out = append(out, said("is-content"))
	case 2:
		out = append(out, said("is-token"))
	case 1:
		out = append(out, said("is-hint"))
	}
	if c.Votes > 0 {
		out = append(out, said("is-votes", "votes", float(c.Votes), "n", c.Reports))
	}
	return out
}

// Unproven says what is not.
func (c Case) Unproven() (out []Said) {
	switch {
	case c.Kind == "external":
		if c.Source.IP == "" && c.Source.Domain == "" {
			out = append(out, said("not-source"))
		}
	case c.Grade == 0:
		out = append(out, said("not-ours"))
	case c.Grade == 1:
		out = append(out, said("not-account"))
	case c.Grade == 2:
		out = append(out, said("not-content"))
	case c.Grade == 3:
		out = append(out, said("not-whose"))
	}
	switch c.Class {
	case "TRANSPLANT":
		out = append(out, said("not-transplant"))
	case "REPLAY":
		out = append(out, said("not-replay"))
	}
	if c.Kind != "external" && c.Grade >= 2 {
		out = append(out, said("not-person"))
	}
	if c.Trust == 0 {
		out = append(out, said("not-reporter"))
	}
	if c.Kind != "external" && c.Grade >= 1 && c.Votes == 0 {
		out = append(out, said("not-votes"))
	}
	return out
}

// float is hundredths as a whole number where they are one.
func float(hundredths int) any {
	if hundredths%100 == 0 {
		return hundredths / 100
	}
	return float64(hundredths) / 100
}

// Harmless reports whether the proof allows no measure against anybody.
func (c Case) Harmless() bool {
	return c.Kind != "external" && (c.Grade < 2 || slices.Contains([]string{"TRANSPLANT", "REPLAY"}, c.Class))
}
