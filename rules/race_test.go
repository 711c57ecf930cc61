//go:build race

package rules_test

// sparse makes tests over real mail look at every fortieth only: the race detector slows
// expressions twentyfold and looks for something else.
const sparse = 40
