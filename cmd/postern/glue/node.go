package glue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"postern/filter/sender"
)

// Account is the form under which an account is known everywhere: lower case.
func Account(user string) string { return strings.ToLower(strings.TrimSpace(user)) }

// ConfirmedName is the confirmed reverse name of an address, or "".
func ConfirmedName(ctx context.Context, r sender.Resolver, ip netip.Addr) string {
	if ip.IsLoopback() {
		return ""
	}
	rev, err := sender.LookUp(ctx, r, ip)
	if err != nil {
		return ""
	}
	return rev.Name
}

// WebhookClient is the HTTP client for alerts. It follows no redirects: a signed alert goes
// where the operator said or nowhere.
func WebhookClient() *http.Client {
	return &http.Client{
		Timeout:       15 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// keyLen is the length of a node key in bytes.
const keyLen = 32

// NodeKey reads the key from path, or makes one that only this user can read.
func NodeKey(path string, random io.Reader) ([]byte, error) {
	b, err := os.ReadFile(path)
	switch {
	case err == nil && len(b) == keyLen:
		return b, nil
	case err == nil:
		return nil, fmt.Errorf("%s: a key has %d bytes, this file %d; remove it and a new one is made", path, keyLen, len(b))
	case !errors.Is(err, os.ErrNotExist):
		return nil, err
	}
	b = make([]byte, keyLen)
	if _, err := io.ReadFull(random, b); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return b, os.Rename(path+".new", path)
}
