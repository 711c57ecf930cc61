package notice_test

import (
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
)

func quoted(t *testing.T, body string) string {
	t.Helper()
	b, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(body)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
