//go:build !testclock

package main

import "time"

// clock is the clock of the whole program.
func clock() (func() time.Time, error) { return time.Now, nil }
