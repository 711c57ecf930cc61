//go:build race

package pattern_test

// sparse makes tests over real mail look at every fourth only: the race detector slows
// expressions twentyfold and looks for something else.
const sparse = 4
