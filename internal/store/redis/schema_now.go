//go:build !schemabefore

package redis

// Speaks is the newest schema this program reads and writes. Two programs whose schemas differ
// by one can share a store.
const Speaks = 2
