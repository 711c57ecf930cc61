package arc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"postern/filter/auth/arc"
	"postern/internal/mailtest"
)

// keys answers TXT questions; TEMPERROR stands for a failing server.
type keys map[string]string

func (k keys) TXT(_ context.Context, name string) ([]string, error) {
	txt, ok := k[strings.ToLower(name)]
	switch {
	case !ok:
		return nil, &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
	case txt == "TEMPERROR":
		return nil, &net.DNSError{Err: "server failure", Name: name, IsTemporary: true}
	}
	return []string{txt}, nil
}

type test struct{ Name, Description, Message, CV string }

// scenario is one document of valimail's suite.
type scenario struct {
	Description string
	Tests       []test
	Records     map[string]string
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	f, err := os.Open(filepath.Join(mailtest.Suites(t, "arc/valimail"), "tests", "arc-draft-validation-tests.yml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []scenario
	for d := yaml.NewDecoder(f, yaml.AllowDuplicateMapKey()); ; {
		var doc struct {
			Description string
			Tests       yaml.MapSlice     // four names stand twice
			Records     map[string]string `yaml:"txt-records"`
		}
		if err := d.Decode(&doc); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		s := scenario{Description: doc.Description, Records: doc.Records}
		for _, item := range doc.Tests {
			c := item.Value.(map[string]any)
			text := func(key string) string { v, _ := c[key].(string); return v }
			s.Tests = append(s.Tests, test{item.Key.(string), text("description"), text("message"), text("cv")})
		}
		all = append(all, s)
	}
}

// unstated are cases of the suite that expect no result; ours is that of RFC 8617.
var unstated = map[string]struct {
	want   arc.Result
	reason string
}{
	"cv_fail_i1_as_cv_fail": {arc.Fail, "section 5.2 step 2: the newest seal says cv=fail"},
	"cv_fail_i2_as2_fail":   {arc.Fail, "section 5.2 step 2: the newest seal says cv=fail"},
	"cv_fail_i2_as1_fail":   {arc.Fail, "section 5.2 step 3C: the first seal must say cv=none"},
}

// otherwise are cases whose result RFC 8617 contradicts.
var otherwise = map[string]struct {
	want   arc.Result
	reason string
}{
	"ams_fields_c_na": {arc.Fail, "section 4.1.2: an ARC-Message-Signature has the semantics of a DKIM-Signature, so without c= it is " +
		"simple/simple (RFC 6376 section 3.5); the suite signed relaxed/relaxed"},
}

func TestSuiteValimail(t *testing.T) {
	n, seen, results := 0, map[string]bool{}, map[arc.Result]int{}
	for _, s := range scenarios(t) {
		for _, c := range s.Tests {
			name := c.Name
			n++
			msg := bytes.ReplaceAll([]byte(c.Message), []byte("\n"), []byte("\r\n"))
			k := keys{}
			for name, txt := range s.Records {
				k[strings.ToLower(name)] = txt
			}
			got, err := arc.Validate(t.Context(), k, bytes.NewReader(msg), int64(len(msg)), time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := arc.Result(strings.ToLower(c.CV))
			if u, ok := unstated[name]; ok {
				seen[name] = true
				if want != "" {
					t.Errorf("%s: the suite states %s", name, want)
				}
				want = u.want
			}
			if o, ok := otherwise[name]; ok {
				seen[name] = true
				if want == o.want {
					t.Errorf("%s: no longer otherwise than the suite", name)
				}
				want = o.want
			}
			if got.Result != want || (got.Reason == "") != (want == arc.Pass || want == arc.None) {
				t.Errorf("%s (%s): %s (%s), want %s", name, c.Description, got.Result, got.Reason, want)
			}
			results[got.Result]++
		}
	}
	if n != 175 {
		t.Errorf("%d cases, want 175: 171 names, four of them twice", n)
	}
	t.Logf("%d cases: %v, %d of them otherwise than the suite", n, results, len(otherwise))
	if len(seen) != len(unstated)+len(otherwise) {
		t.Errorf("the tables name cases that the suite does not have: %v", seen)
	}
}
