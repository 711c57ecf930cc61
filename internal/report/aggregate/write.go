package aggregate

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// Write is the report as XML, in the order of elements that RFC 9990 fixes.
func (f *Feedback) Write() ([]byte, error) {
	g := *f
	g.XMLName = xml.Name{Space: Namespace, Local: "feedback"}
	g.Version = "1.0"
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", " ")
	if err := e.Encode(g); err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}
