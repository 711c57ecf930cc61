package client_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/relay/client"
)

// BenchmarkTransaction is a whole mail over loopback on one connection; the scripted server
// is in the same process and in the figures.
func BenchmarkTransaction(b *testing.B) {
	line := strings.Repeat("x", 76) + "\r\n"
	for name, size := range map[string]int{"2kB": 2 << 10, "20kB": 20 << 10, "1MB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			server := mailtest.NewBackend(b, mailtest.Script{DropBodies: true})
			ctx := context.Background()
			c, err := client.Dial(ctx, options(server))
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			mail := []byte(strings.Repeat(line, size/len(line)))
			e := envelope("b@example.com", "c@example.com")
			e.Size = int64(len(mail))
			b.SetBytes(int64(len(mail)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Begin(ctx, e); err != nil {
					b.Fatal(err)
				}
				if err := c.Body(ctx, bytes.NewReader(mail)); err != nil {
					b.Fatal(err)
				}
				if _, err := c.End(ctx); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
