//go:build schemabefore

package redis

// Speaks is the schema of the program as it was before the last change of it, for tests of an
// upgrade.
const Speaks = 1
