package sqlite

import "errors"

// Fault is what kind of trouble an error of the database is.
type Fault uint8

// The kinds of trouble that are answered differently.
const (
	Other   Fault = iota
	Full          // no room on the disk; nothing was written
	Broken        // an I/O error: what was written can no longer be trusted
	Damaged       // the file is no whole database
)

// Result codes of SQLite, https://sqlite.org/rescode.html.
const (
	codeIOErr   = 10
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// FaultOf sorts an error of the driver by its primary result code.
func FaultOf(err error) Fault {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return Other
	}
	switch coded.Code() & 0xff {
	case codeFull:
		return Full
	case codeIOErr:
		return Broken
	case codeCorrupt, codeNotADB:
		return Damaged
	}
	return Other
}

// damage turns SQLite's word for a damaged file into one that names it and says what to do.
func damage(path string, err error) error {
	var known *DamageError
	if errors.As(err, &known) || FaultOf(err) != Damaged {
		return err
	}
	return &DamageError{Path: path, Err: err}
}
