// Package stores_test runs what both homes owe at the size they are made for: thousands of
// random operations, a million holds. With POSTERN_CAMPAIGN=1 all of it, else a short form.
package stores_test

import "os"

func long() bool { return os.Getenv("POSTERN_CAMPAIGN") == "1" }

// pick is the campaign's value or that of the short form.
func pick[T any](campaign, short T) T {
	if long() {
		return campaign
	}
	return short
}
