// Package cases keeps the cases of the abuse desk: which reports belong to which problem, what
// state it is in, who has it, until when what is owed, and everything that was done about it.
package cases
