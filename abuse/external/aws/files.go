package aws

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"

	"postern/internal/filemark"
)

// Bounds of the files.
const (
	MaxRanges      = 32 << 20 // octets of the file of ranges
	MaxPrefixes    = 200_000
	maxCredentials = 16 << 10
)

// region is the form of a region's name: it becomes part of a host name.
var region = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,20}){1,3}-[0-9]{1,2}$`)

// Ranges are networks and the region of each.
type Ranges map[netip.Prefix]string

// ReadRanges reads what AWS publishes as ip-ranges.json.
func ReadRanges(r io.Reader) (Ranges, error) {
	text, err := bounded(r, MaxRanges)
	if err != nil {
		return nil, err
	}
	var file struct {
		V4 []struct {
			Net    string `json:"ip_prefix"`
			Region string `json:"region"`
		} `json:"prefixes"`
		V6 []struct {
			Net    string `json:"ipv6_prefix"`
			Region string `json:"region"`
		} `json:"ipv6_prefixes"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("it is no file of ranges: %w", err)
	}
	if n := len(file.V4) + len(file.V6); n == 0 || n > MaxPrefixes {
		return nil, fmt.Errorf("it holds %d prefixes; there are 1 to %d", n, MaxPrefixes)
	}
	out := Ranges{}
	add := func(place, text, in string) error {
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Bits() < 8 {
			return fmt.Errorf("%s: %.60q is no network of /8 at the widest", place, text)
		}
		if p = p.Masked(); region.MatchString(in) || out[p] == "" { // the same network stands there once a service
			out[p] = in
		}
		return nil
	}
	for i, p := range file.V4 {
		if err := add(fmt.Sprintf("prefixes[%d].ip_prefix", i), p.Net, p.Region); err != nil {
			return nil, err
		}
	}
	for i, p := range file.V6 {
		if err := add(fmt.Sprintf("ipv6_prefixes[%d].ipv6_prefix", i), p.Net, p.Region); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Find is the region of the narrowest network with an address; "" where the file names none,
// as for what stands in all regions.
func (r Ranges) Find(ip netip.Addr) (in string, ok bool) {
	ip = ip.Unmap().WithZone("")
	for bits := ip.BitLen(); bits >= 8; bits-- {
		p, err := ip.Prefix(bits)
		if err != nil {
			return "", false
		}
		if in, ok = r[p]; ok {
			if !region.MatchString(in) {
				in = ""
			}
			return in, true
		}
	}
	return "", false
}

// File is a file of ranges that is read again when it was replaced.
type File struct {
	Path string

	mu     sync.Mutex
	seen   filemark.Mark
	ranges Ranges
}

// Ranges are those of the file as it is now. While it cannot be read they are those of before,
// with the error.
func (f *File) Ranges() (Ranges, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.Path)
	if err != nil {
		return f.ranges, err
	}
	if f.ranges != nil && filemark.From(info) == f.seen {
		return f.ranges, nil
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return f.ranges, err
	}
	defer file.Close()
	fresh, err := ReadRanges(file)
	if err != nil {
		return f.ranges, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.ranges, f.seen = fresh, filemark.From(info)
	return fresh, nil
}

// ReadCredentials reads a file as the tools of AWS write it, the profile "default".
func ReadCredentials(path string) (Credentials, error) {
	var c Credentials
	file, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer file.Close()
	text, err := bounded(file, maxCredentials)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	profile := "default"
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			profile = strings.TrimSpace(strings.Trim(line, "[]"))
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		if profile != "default" {
			continue
		}
		switch value = strings.TrimSpace(value); strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.ID = value
		case "aws_secret_access_key":
			c.Secret = value
		case "aws_session_token":
			c.Token = value
		}
	}
	for _, v := range []string{c.ID, c.Secret, c.Token} {
		if strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return Credentials{}, fmt.Errorf("%s: a value is no plain text", path)
		}
	}
	if c.ID == "" || c.Secret == "" {
		return Credentials{}, fmt.Errorf("%s: the profile default needs aws_access_key_id and aws_secret_access_key", path)
	}
	return c, nil
}

func bounded(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is larger than %d octets", most)
	}
	return text, err
}
