// Package mime walks a message into a tree of parts, tolerantly and inside hard limits.
package mime

// Tree is what a walk found.
type Tree struct{}
