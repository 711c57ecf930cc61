package redact_test

import (
	"strings"
	"testing"

	"postern/abuse/complaint/redact"
)

func TestVector(t *testing.T) {
	if got := redact.SHA1("potatoes").Local("bob"); got != "rZ8cqXWGiKHzhz1MsFRGTysHia4=" {
		t.Errorf("the vector of the RFC is %q", got)
	}
	if got := redact.SHA1("potatoes").Address("bob@example.com"); got != "rZ8cqXWGiKHzhz1MsFRGTysHia4=@example.com" {
		t.Errorf("as an address %q", got)
	}
}

func TestEqualPeopleStayEqual(t *testing.T) {
	a, b := redact.HMAC([]byte("one")), redact.HMAC([]byte("two"))
	bob := a.Address("bob@example.com")
	if bob != a.Address("BOB@example.com") || bob == b.Address("bob@example.com") || bob == a.Address("bobby@example.com") || strings.Contains(bob, "bob") {
		t.Errorf("bob is %q", bob)
	}
	if a.Address(bob) != bob {
		t.Error("what is redacted is redacted again")
	}
	if local := a.Address("no address"); strings.Contains(local, "address") || strings.Contains(local, "@") {
		t.Errorf("a value without @ is %q", local)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{bob, bob, true}, {bob, a.Address("carol@example.com"), false}, {"Bob@Example.com", "bob@example.COM", true}, {bob, "bob@example.com", false},
		{bob, strings.Replace(bob, "example.com", "example.net", 1), false}, {strings.ToLower(bob), bob, strings.ToLower(bob) == bob}, {"x", "X", true},
	} {
		if got := redact.Same(c.a, c.b); got != c.want {
			t.Errorf("Same(%q, %q) = %v", c.a, c.b, got)
		}
	}
}

func TestText(t *testing.T) {
	r := redact.HMAC([]byte("key"))
	in := "From: Bob <bob@a.example>, anna.b+c@b.example; ours@here.example. Write to bob@a.example!"
	out := r.Text(in, func(a string) bool { return strings.HasSuffix(a, "@here.example") })
	bob := r.Address("bob@a.example")
	want := "From: Bob <" + bob + ">, " + r.Address("anna.b+c@b.example") + "; ours@here.example. Write to " + bob + "!"
	if out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if got := r.Text("nobody here", nil); got != "nobody here" {
		t.Errorf("%q", got)
	}
}

func TestLooks(t *testing.T) {
	for local, want := range map[string]bool{
		"rZ8cqXWGiKHzhz1MsFRGTysHia4=": true, "redacted": true, "[redacted]": true, "xxxxx": true, "***": true, "d41d8cd98f00b204e9800998ecf8427e": true, "undisclosed-recipients": true,
		redact.HMAC([]byte("k")).Local("a"): true,
		"bob":                               false, "anna.smith": false, "xx": false, "": false, "a-perfectly-normal-long-name": false, "averyverylongnamewithtwentye": false, "deadbeef": false,
	} {
		if got := redact.Looks(local); got != want {
			t.Errorf("Looks(%q) = %v", local, got)
		}
	}
}
