package mime_test

import (
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// sample loads every nth ham.
func sample(b *testing.B) (list [][]byte, size int64) {
	n := 0
	mails(b, mailtest.Corpora(b, "ham"), func(_ string, raw []byte) {
		if n++; n%5 == 0 {
			raw = crlf(raw)
			list = append(list, raw)
			size += int64(len(raw))
		}
	})
	return list, size
}

func BenchmarkWalk(b *testing.B) {
	list, size := sample(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range list {
			mime.Bytes(raw, mime.Limits{})
		}
	}
	b.ReportMetric(float64(len(list)), "mails/op")
}

func BenchmarkViews(b *testing.B) {
	list, size := sample(b)
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		for _, raw := range list {
			mime.Bytes(raw, mime.Limits{}).Text()
		}
	}
	b.ReportMetric(float64(len(list)), "mails/op")
}
