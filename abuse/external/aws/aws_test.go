package aws_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postern/abuse/external/aws"
)

const ranges = `{"syncToken":"1","prefixes":[
 {"ip_prefix":"198.51.100.0/24","region":"GLOBAL","service":"AMAZON"},
 {"ip_prefix":"198.51.100.0/24","region":"eu-central-1","service":"EC2"},
 {"ip_prefix":"198.51.100.128/25","region":"ap-southeast-2","service":"EC2"},
 {"ip_prefix":"203.0.113.0/24","region":"GLOBAL","service":"CLOUDFRONT"}],
 "ipv6_prefixes":[{"ipv6_prefix":"2001:db8:7::/48","region":"us-gov-west-1","service":"EC2"}]}`

// The figures are those of the published test suite of Signature Version 4.
func TestSign(t *testing.T) {
	who := aws.Credentials{ID: "AKIDEXAMPLE", Secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	at := time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)
	for _, c := range []struct{ name, method, query, kind, body, names, want string }{
		{"get-vanilla", "GET", "", "", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"post-vanilla", "POST", "", "", "", "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
		{"get-vanilla-query-order-key-case", "GET", "?Param2=value2&Param1=value1", "", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"post-x-www-form-urlencoded", "POST", "", "application/x-www-form-urlencoded", "Param1=value1", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "https://example.amazonaws.com/"+c.query, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		aws.Sign(r, []byte(c.body), who, "us-east-1", "service", at)
		want := fmt.Sprintf("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, Signature=%s", c.names, c.want)
		if got := r.Header.Get("Authorization"); got != want {
			t.Errorf("%s:\n%s\n%s", c.name, got, want)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "https://example.amazonaws.com", nil)
	who.Token = "session"
	aws.Sign(r, nil, who, "us-east-1", "service", at)
	if got := r.Header.Get("Authorization"); !strings.Contains(got, "host;x-amz-date;x-amz-security-token") || r.Header.Get("X-Amz-Security-Token") != "session" {
		t.Error(got)
	}
}

func TestRanges(t *testing.T) {
	all, err := aws.ReadRanges(strings.NewReader(ranges))
	if err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]string{
		"198.51.100.7": "eu-central-1", "198.51.100.200": "ap-southeast-2", "::ffff:198.51.100.7": "eu-central-1", "203.0.113.9": "", "2001:db8:7::1": "us-gov-west-1", "192.0.2.1": "-", "2001:db8:8::1": "-",
	} {
		in, ok := all.Find(netip.MustParseAddr(ip))
		if !ok {
			in = "-"
		}
		if in != want {
			t.Errorf("%s is in %q, want %q", ip, in, want)
		}
	}
	if _, ok := all.Find(netip.Addr{}); ok {
		t.Error("no address is in a network")
	}
	for text, want := range map[string]string{
		`[]`: "no file of ranges", `{}`: "0 prefixes", `{"prefixes":[{"ip_prefix":"0.0.0.0/0"}]}`: `prefixes[0].ip_prefix: "0.0.0.0/0"`,
		`{"ipv6_prefixes":[{"ipv6_prefix":"x"}]}`: "ipv6_prefixes[0].ipv6_prefix", strings.Repeat(" ", aws.MaxRanges+1): "larger than",
	} {
		if _, err := aws.ReadRanges(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

// A file that was replaced is read again; a broken one leaves what was known.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ip-ranges.json")
	f := &aws.File{Path: path}
	if _, err := f.Ranges(); err == nil {
		t.Error("there is no file")
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(ranges)
	if all, err := f.Ranges(); err != nil || len(all) != 4 {
		t.Fatal(len(all), err)
	}
	write("{")
	if all, err := f.Ranges(); err == nil || len(all) != 4 {
		t.Error(len(all), err)
	}
	write(`{"prefixes":[{"ip_prefix":"192.0.2.0/24","region":"us-east-1"}]}`)
	if all, err := f.Ranges(); err != nil || len(all) != 1 {
		t.Error(len(all), err)
	}
}

func TestCredentials(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials")
	for text, want := range map[string]string{
		"[other]\naws_access_key_id=X\naws_secret_access_key=Y\n\n[default]\r\naws_access_key_id = AK\naws_secret_access_key = S=/+\naws_session_token=T": "",
		"aws_access_key_id=AK\naws_secret_access_key=S=/+\naws_session_token=T":                                                                           "",
		"[other]\naws_access_key_id=AK\naws_secret_access_key=S":                                                                                          "profile default needs",
		"aws_access_key_id=AK":                           "profile default needs",
		"aws_access_key_id=A K\naws_secret_access_key=S": "no plain text",
		strings.Repeat("#", 17<<10):                      "larger than",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := aws.ReadCredentials(path)
		switch {
		case want == "" && (err != nil || c != aws.Credentials{ID: "AK", Secret: "S=/+", Token: "T"}):
			t.Errorf("%q: %+v %v", text, c, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "A K")):
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if _, err := aws.ReadCredentials(path + "x"); err == nil {
		t.Error("there is no file")
	}
}
