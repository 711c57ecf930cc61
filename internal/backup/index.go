package backup

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// indexer writes places, many in a frame.
type indexer struct {
	f   *frames
	buf bytes.Buffer
}

func (x *indexer) add(p place) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	x.buf.Write(b)
	x.buf.WriteByte('\n')
	if x.buf.Len() < piece/2 {
		return nil
	}
	return x.flush()
}

func (x *indexer) flush() error {
	if x.buf.Len() == 0 {
		return nil
	}
	err := x.f.frame(head{Key: "places"}, x.buf.Bytes())
	x.buf.Reset()
	return err
}

// readIndex reads the places of one section as of a run whose chain has so many runs.
func readIndex(r io.Reader, run, file string, runs int, zip *zstd.Decoder) (map[string]place, error) {
	s, err := newScanner(r, run, file, 0, zip)
	if err != nil {
		return nil, err
	}
	out := map[string]place{}
	for {
		_, data, err := s.next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(data) {
			var p place
			if err := json.Unmarshal(line, &p); err != nil || p.Run < 0 || p.Run >= runs || p.N < 1 || p.Off < int64(len(magic)) {
				return nil, s.damage(p.Key, "names a place that there is not")
			}
			out[p.Key] = p
		}
	}
}

// sortedPlaces are in the order in which they stand in the files.
func sortedPlaces(m map[string]place) []place {
	return slices.SortedFunc(maps.Values(m), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Run, b.Run), cmp.Compare(a.N, b.N), cmp.Compare(a.Off, b.Off))
	})
}
