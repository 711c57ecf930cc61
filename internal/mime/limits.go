package mime

// Limits bounds a walk and its views. A field that is zero or less means its default.
type Limits struct {
	Depth     int   // levels of parts, messages inside messages included; default 30
	Parts     int   // parts, those of other readings included; default 1,000
	Fields    int   // header fields of one part; default 1,000
	Header    int   // bytes of one header block; default 256 kB
	Work      int64 // bytes looked at, as a multiple of the message; default 16
	Readings  int   // readings of one part beside the plain one; default 8
	Anomalies int   // anomalies kept; default 200
	Name      int   // bytes of one file name, of which the end is kept; default 1,000
	Names     int   // readings of file names of one part; default 64
	Text      int   // bytes of each text view; default 4 MB
	Tokens    int   // HTML tokens over all parts; default 200,000
	URLs      int   // links kept; default 10,000
}

// DefaultLimits are the limits used where a configuration says nothing.
func DefaultLimits() Limits {
	return Limits{
		Depth: 30, Parts: 1000, Fields: 1000, Header: 256 << 10, Work: 16, Readings: 8,
		Anomalies: 200, Name: 1000, Names: 64, Text: 4 << 20, Tokens: 200_000, URLs: 10_000,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int }{
		{&l.Depth, &d.Depth}, {&l.Parts, &d.Parts}, {&l.Fields, &d.Fields}, {&l.Header, &d.Header},
		{&l.Readings, &d.Readings}, {&l.Anomalies, &d.Anomalies}, {&l.Name, &d.Name}, {&l.Names, &d.Names},
		{&l.Text, &d.Text}, {&l.Tokens, &d.Tokens}, {&l.URLs, &d.URLs},
	} {
		if *f.have <= 0 {
			*f.have = *f.def
		}
	}
	if l.Work <= 0 {
		l.Work = d.Work
	}
	return l
}
