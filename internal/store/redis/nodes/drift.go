package nodes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shown is how many nodes are named.
const shown = 10

// Drift names what the nodes do not have in common: versions, rules and configuration that
// differ. A configuration may differ on purpose, so it comes last.
func Drift(list []Info) (drift []string) {
	for _, what := range []struct {
		name string
		of   func(Info) string
	}{
		{"versions", func(i Info) string { return i.Version }},
		{"rules", func(i Info) string { return i.Rules }},
		{"configurations", func(i Info) string { return i.Config }},
	} {
		have := map[string][]string{}
		for _, node := range list {
			have[what.of(node)] = append(have[what.of(node)], node.Name)
		}
		if len(have) < 2 {
			continue
		}
		values := slices.Collect(maps.Keys(have))
		slices.SortFunc(values, func(a, b string) int { // what most have comes first
			if n := len(have[b]) - len(have[a]); n != 0 {
				return n
			}
			return strings.Compare(a, b)
		})
		var groups []string
		for _, v := range values[:min(len(values), shown)] {
			groups = append(groups, names(have[v])+" "+word(len(have[v]))+" "+orNone(v))
		}
		drift = append(drift, fmt.Sprintf("the nodes have different %s: %s", what.name, strings.Join(groups, "; ")))
	}
	return drift
}

func names(list []string) string {
	slices.Sort(list)
	if n := len(list) - shown; n > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:shown], ", "), n)
	}
	return strings.Join(list, ", ")
}

func word(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
