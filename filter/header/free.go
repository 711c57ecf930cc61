package header

import (
	_ "embed"
	"strings"
)

// freeList are the domains in which anybody gets a mailbox for nothing, one a line.
//
//go:embed free.txt
var freeList string

// free reports whether anybody gets an address in the domain for nothing.
func free(domain string) bool {
	return strings.Contains(freeList, "\n"+domain+"\n")
}
