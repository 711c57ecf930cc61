package oddity

import (
	"postern/internal/mime/filename"
	"postern/internal/mime/header"
)

// OfHeader names what is wrong with a header block.
func OfHeader(odd header.Odd) []Kind {
	return kinds(odd, []pair[header.Odd]{
		{header.NoColon, HeaderNoColon}, {header.BlankName, HeaderBlankName}, {header.LeadingBlank, HeaderLeading},
		{header.NULByte, HeaderNUL}, {header.EightBitName | header.EmptyName, HeaderBadName},
		{header.BareCR, HeaderBareCR}, {header.BlankFold, HeaderBlankFold}, {header.NoEnd, HeaderNoEnd},
		{header.TooMany, TooManyFields}, {header.TooLong, HeaderTooLong},
	})
}

// OfNames names what is wrong with file names.
func OfNames(odd filename.Odd) []Kind {
	return kinds(odd, []pair[filename.Odd]{
		{filename.Conflict, NameConflict}, {filename.Control, NameControl}, {filename.Path, NamePath},
		{filename.Long, NameLong}, {filename.Many, TooManyReadings},
	})
}

type pair[T header.Odd | filename.Odd] struct {
	odd  T
	kind Kind
}

func kinds[T header.Odd | filename.Odd](odd T, table []pair[T]) []Kind {
	if odd == 0 {
		return nil
	}
	var out []Kind
	for _, p := range table {
		if odd&p.odd != 0 {
			out = append(out, p.kind)
		}
	}
	return out
}
