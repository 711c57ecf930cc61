package trend

import (
	"encoding/json"
	"maps"

	"postern/internal/entity"
)

// Kinds are those of the records, for a move between homes.
func Kinds() []entity.Kind { return []entity.Kind{kindHour, kindDay} }

// Merge makes one record of two about the same time: a node counted on in another home. Of a
// minute or an hour that both know, the one with more mail stays: adding would count twice what
// is merged again.
func Merge(old, there []byte) ([]byte, error) {
	var a, b Period
	if err := json.Unmarshal(old, &a); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(there, &b); err != nil {
		return nil, err
	}
	parts := maps.Clone(b.Parts)
	changed := false
	for n, span := range a.Parts {
		if have, ok := parts[n]; !ok || span.messages() > have.messages() {
			if parts == nil {
				parts = map[int]Span{}
			}
			parts[n], changed = span, true
		}
	}
	if !changed {
		return there, nil
	}
	b.Parts = parts
	return json.Marshal(b)
}

// messages is how many were counted.
func (s Span) messages() (n int64) {
	for _, of := range s.Actions {
		n += of
	}
	return n
}
