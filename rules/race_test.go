//go:build race

package rules_test

// sparse makes tests over real mail look at one in 120 only: the race detector slows
// expressions twentyfold and looks for something else.
const sparse = 120
