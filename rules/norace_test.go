//go:build !race

package rules_test

// sparse is how many real mails a test passes over for one it looks at.
const sparse = 1
