// Package access says who may make which call, and serves the calls over HTTP to those who
// have a token.
package access

import (
	"postern/cmd/postern/access/scope"
	"postern/internal/people"
)

// Needs is the scope that a call needs; false: it is not made over HTTP.
func Needs(call string) (people.Scope, bool) { return scope.Of(call) }

// Known lists the calls that have a scope.
func Known() []string { return scope.Known() }
