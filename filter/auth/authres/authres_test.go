package authres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postern/filter"
	"postern/filter/auth/authres"
)

func prop(s string) filter.AuthProp {
	name, value, _ := strings.Cut(s, "=")
	typ, name, _ := strings.Cut(name, ".")
	return filter.AuthProp{Type: typ, Name: name, Value: value}
}

func result(method, res, reason string, props ...string) filter.AuthResult {
	r := filter.AuthResult{Method: method, Result: res, Reason: reason}
	for _, p := range props {
		r.Props = append(r.Props, prop(p))
	}
	return r
}

func TestParse(t *testing.T) {
	for value, want := range map[string]authres.Field{
		"mx.example.com; none":              {ID: "mx.example.com"},
		"mx.example.com":                    {ID: "mx.example.com"},
		" mx.example.com 1 ;":               {ID: "mx.example.com", Version: "1"},
		"\"mx.example.com\"(c);\r\n none":   {ID: "mx.example.com"},
		"(a ; (b \\) ) \") mx.example.com;": {ID: "mx.example.com"},
		"mx.example.com; spf=pass smtp.mailfrom=example.net; DKIM/1 = Fail (bad; sig) reason=\"a; b\\\"c\" header.d=x.example": {
			ID: "mx.example.com", Results: []filter.AuthResult{
				result("spf", "pass", "", "smtp.mailfrom=example.net"),
				result("dkim", "fail", `a; b"c`, "header.d=x.example"),
			},
		},
		"mx; spf=pass smtp.mailfrom=\"a b\"@example.net; dkim=pass header.b=a/b==\r\n\theader.s=s1 (2048-bit)": {
			ID: "mx", Results: []filter.AuthResult{
				result("spf", "pass", "", "smtp.mailfrom=a b@example.net"),
				result("dkim", "pass", "", "header.b=a/b==", "header.s=s1"),
			},
		},
	} {
		got, err := authres.Parse(value)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%q: %s %v", value, d, err)
		}
	}
}

// Fields in the forms that large providers seal, comments and odd words included.
func TestParseOfProviders(t *testing.T) {
	for value, want := range map[string][]filter.AuthResult{
		"mx.google.example;\r\n dkim=pass header.i=@example.com header.s=s1 header.b=AbC/d+e=;\r\n" +
			" spf=pass (google.example: domain of a@example.com designates 192.0.2.1 as permitted sender) smtp.mailfrom=a@example.com;\r\n" +
			" dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com": {
			result("dkim", "pass", "", "header.i=@example.com", "header.s=s1", "header.b=AbC/d+e="),
			result("spf", "pass", "", "smtp.mailfrom=a@example.com"),
			result("dmarc", "pass", "", "header.from=example.com"),
		},
		"mx.microsoft.example 1; spf=pass (sender ip is 192.0.2.1) smtp.rcpttodomain=example.net smtp.mailfrom=example.com;" +
			" dmarc=bestguesspass action=none header.from=example.com; dkim=none (message not signed);" +
			" arc=pass (0 oda=1 ltdi=1 spf=[1,1,smtp.mailfrom=example.com])": {
			result("spf", "pass", "", "smtp.rcpttodomain=example.net", "smtp.mailfrom=example.com"),
			result("dmarc", "bestguesspass", "", "header.from=example.com"),
			result("dkim", "none", ""),
			result("arc", "pass", ""),
		},
		"lists.example; arc=none smtp.remote-ip=192.0.2.1; dkim=fail reason=\"body; changed\" header.d=example.com;": {
			result("arc", "none", "", "smtp.remote-ip=192.0.2.1"),
			result("dkim", "fail", "body; changed", "header.d=example.com"),
		},
	} {
		got, err := authres.Parse(value)
		if d := cmp.Diff(want, got.Results); d != "" || err != nil {
			t.Errorf("%q: %s %v", value, d, err)
		}
	}
}

// What a stranger chose cannot become a result of its own: in quotes it is a value, and
// where quotes are missing nothing is read.
func TestNothingIsSmuggled(t *testing.T) {
	for value, want := range map[string]int{
		"mx.example; spf=fail smtp.mailfrom=\"x; dmarc=pass header.from=bank.example\"@evil.example": 1,
		"mx.example; spf=fail (x; dmarc=pass header.from=bank.example)":                              1,
		"mx.example; spf=fail reason=\"\\\"; dmarc=pass header.from=bank.example\"":                  1,
	} {
		got, err := authres.Parse(value)
		if err != nil || len(got.Results) != want || got.Results[0].Result != "fail" {
			t.Errorf("%q: %+v %v", value, got, err)
		}
	}
	for _, value := range []string{
		"mx.example; spf=fail (x); y) ; dmarc=pass header.from=bank.example",
		"mx.example; spf=fail smtp.mailfrom=\"x\"; \"; dmarc=pass header.from=bank.example",
	} {
		if got, err := authres.Parse(value); err == nil {
			t.Errorf("%q: %+v", value, got)
		}
	}
}

// What cannot be read still names its ID where that came first.
func TestErrors(t *testing.T) {
	for value, id := range map[string]string{
		"": "", ";": "", "(never closed": "", "\"never closed": "", "=x": "",
		"mx.example.com; spf": "mx.example.com", "mx.example.com; =pass": "mx.example.com",
		"mx.example.com; spf=pass stray": "mx.example.com",
		"mx.example.com; spf=pass a=b c": "mx.example.com",
		"mx.example.com; spf=pass (open": "mx.example.com", "mx.example.com 1 2": "mx.example.com",
		"mx.example.com; spf=pass reason=": "mx.example.com", "mx.example.com; spf/=x": "mx.example.com",
		"mx.example.com; spf=": "mx.example.com", "mx.example.com )": "mx.example.com", "mx.example.com; \x00": "mx.example.com",
		"mx.example.com; none=x=y": "mx.example.com",
	} {
		f, err := authres.Parse(value)
		if !errors.Is(err, authres.ErrSyntax) || f.ID != id {
			t.Errorf("%q: %+v %v", value, f, err)
		}
	}
	for _, value := range []string{strings.Repeat("x", 65<<10), "mx" + strings.Repeat("; spf=pass", 101)} {
		if _, err := authres.Parse(value); !errors.Is(err, authres.ErrTooLarge) {
			t.Errorf("%.20s: %v", value, err)
		}
	}
	if _, err := authres.Parse(strings.Repeat("(", 30) + strings.Repeat(")", 30) + " mx"); err == nil {
		t.Error("comments 30 deep")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("mx.example.com 1; spf=pass (c) smtp.mailfrom=\"a\\\"b\"@c reason=\"x\"; dkim=fail header.b=ab/c=")
	f.Add("(((;)))\"\\")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := authres.Parse(s)
		if err == nil && got.ID == "" && !strings.Contains(s, `""`) {
			t.Errorf("%q has no ID and no error", s)
		}
		for _, r := range got.Results {
			if err == nil && (r.Method == "" || r.Result == "") && !strings.Contains(s, `""`) {
				t.Errorf("%q: %+v", s, r)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	const value = "mx.example.com; spf=pass smtp.mailfrom=example.net; dkim=pass (2048-bit key) header.d=example.net header.s=s1 header.b=abcdefgh; dmarc=pass header.from=example.net"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := authres.Parse(value); err != nil {
			b.Fatal(err)
		}
	}
}
