package rules

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"postern/filter"
)

// virus is the symbol of the scanner; what it does is each policy's antivirus.infected.
const virus = "VIRUS"

// infected is what the policy does with a virus. Parts are left out only where each virus has
// one that is named for certain; otherwise the message is held.
func (c *judgement) infected() filter.Action {
	switch c.policy.Antivirus.Infected {
	case "tag":
		return filter.Tag
	case "quarantine":
		return filter.Quarantine
	case "strip":
		if c.strippable() {
			return filter.Tag
		}
		return filter.Quarantine
	default:
		return filter.Reject
	}
}

func (c *judgement) strippable() bool {
	return len(c.parts) > 0 && !slices.Contains(c.parts, "")
}

// virusNote says why a message that the policy would hand on without its infected parts is
// held.
func (c *judgement) virusNote() string {
	if c.policy.Antivirus.Infected == "strip" && !c.strippable() {
		return "held whole: nobody can say for certain which part is infected"
	}
	return ""
}

// strip lists the parts to leave out of a message that is handed on, in the order of the
// tree. One that is held or refused for another reason stays as it is.
func (c *judgement) strip(v filter.Verdict) []string {
	if c.policy.Antivirus.Infected != "strip" || !c.strippable() || v.Action > filter.Tag {
		return nil
	}
	parts := slices.Clone(c.parts)
	slices.SortFunc(parts, comparePaths)
	return slices.Compact(parts)
}

// comparePaths orders part paths as the tree does: "1.2" before "1.10".
func comparePaths(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		m, errX := strconv.Atoi(x)
		n, errY := strconv.Atoi(y)
		if errX != nil || errY != nil {
			return strings.Compare(x, y)
		}
		return cmp.Compare(m, n)
	})
}
