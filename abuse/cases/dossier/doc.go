// Package dossier is what a case is: its facts, its clocks, what may be done to it, and how it
// is found. It keeps nothing itself.
package dossier
