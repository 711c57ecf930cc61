package address_test

import (
	"testing"

	"postern/internal/address"
)

func TestRegistered(t *testing.T) {
	for host, want := range map[string]string{
		"example.com": "example.com", "www.mail.example.com": "example.com", "a.b.example.co.uk": "example.co.uk",
		"co.uk": "co.uk", "localhost": "localhost", "": "", "192.0.2.1": "192.0.2.1", "2001:db8::1": "2001:db8::1", "xn--80a.xn--p1ai": "xn--80a.xn--p1ai",
	} {
		if got := address.Registered(host); got != want {
			t.Errorf("%q is below %q, want %q", host, got, want)
		}
	}
}
