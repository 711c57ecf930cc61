package xarf_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"postern/abuse/complaint/xarf"
	"postern/internal/mailtest"
)

// schemas compiles those of the suite, each under its own name.
func schemas(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.DefaultDraft(jsonschema.Draft2020)
	dir := filepath.Join(mailtest.Suites(t, "arf"), "xarf-v4", "schemas", "v4")
	for _, pattern := range []string{"*.json", "types/*.json"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %d, %v", pattern, len(paths), err)
		}
		for _, path := range paths {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			rel, _ := filepath.Rel(dir, path)
			if err := c.AddResource("https://xarf.org/schemas/v4/"+filepath.ToSlash(rel), doc); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
	}
	s, err := c.Compile("https://xarf.org/schemas/v4/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func judge(t *testing.T, s *jsonschema.Schema, doc []byte) error {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func sample() xarf.Document {
	return xarf.Document{
		ID: "02eb480f-8172-431a-9276-c28ba90f694a", Time: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC),
		Reporter: xarf.Party{Org: "Γραφείο", Contact: "abuse@here.example", Domain: "here.example"}, Source: "2001:db8::7", Port: 51514,
		Category: "messaging", Type: "spam", Protocol: "smtp", MailFrom: "spam@there.example", RcptTo: "anna@here.example", Subject: "垃圾", MessageID: "<1@there.example>",
		EvidenceSource: "user_complaint", Language: "zh-CN", Count: 3, Tags: []string{"spam:commercial", "Not A Tag"}, Description: "Сообщение",
		Evidence: []xarf.Evidence{{Type: "message/rfc822", Description: "the message", Data: []byte("From: a@there.example\r\nSubject: x\r\n\r\nbody\xff\x00\r\n")}},
	}
}

// What we write is what the schemas ask for, and reads as what was meant.
func TestWriteFollowsTheSchema(t *testing.T) {
	spam, master := schemas(t, "types/messaging-spam.json"), schemas(t, "xarf-v4-master.json")
	for name, change := range map[string]func(*xarf.Document){
		"all":         func(*xarf.Document) {},
		"least":       func(d *xarf.Document) { d.Evidence, d.Tags, d.Subject, d.RcptTo, d.Language = nil, nil, "", "", "" },
		"long":        func(d *xarf.Document) { d.Subject, d.MessageID = strings.Repeat("长", 900), strings.Repeat("m", 400) },
		"odd words":   func(d *xarf.Document) { d.EvidenceSource, d.Language = "a friend told me", "klingon" },
		"full":        func(d *xarf.Document) { d.Evidence = bytesTimes(50) },
		"other party": func(d *xarf.Document) { d.Sender = xarf.Party{Org: "S", Contact: "a@s.example", Domain: "s.example"} },
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			change(&d)
			out, err := xarf.Write(d)
			if err != nil {
				t.Fatal(err)
			}
			if err := judge(t, spam, out); err != nil {
				t.Errorf("messaging-spam: %v\n%s", err, out)
			}
			if err := judge(t, master, out); err != nil {
				t.Errorf("master: %v", err)
			}
			back, problems, ok := xarf.Read(out)
			if !ok || len(problems) > 0 {
				t.Fatalf("read back: %v %v", ok, problems)
			}
			if !reflect.DeepEqual(back.Evidence, d.Evidence) || back.Source != d.Source || back.Port != d.Port || !back.Time.Equal(d.Time) || back.MailFrom != d.MailFrom || back.ID != d.ID || back.Reporter != d.Reporter {
				t.Errorf("read back as %+v", back)
			}
		})
	}
}

func bytesTimes(n int) []xarf.Evidence {
	var out []xarf.Evidence
	for i := range n {
		out = append(out, xarf.Evidence{Type: "text/plain", Data: bytes.Repeat([]byte{byte(i)}, 100)})
	}
	return out
}

func TestWriteRefuses(t *testing.T) {
	for want, change := range map[error]func(*xarf.Document){
		xarf.ErrID:       func(d *xarf.Document) { d.ID = "A-2026-000042" },
		xarf.ErrTime:     func(d *xarf.Document) { d.Time = time.Time{} },
		xarf.ErrParty:    func(d *xarf.Document) { d.Reporter.Org = "" },
		xarf.ErrSource:   func(d *xarf.Document) { d.Source = "" },
		xarf.ErrKind:     func(d *xarf.Document) { d.Type = "phishing" },
		xarf.ErrSMTP:     func(d *xarf.Document) { d.Port = 0 },
		xarf.ErrEvidence: func(d *xarf.Document) { d.Evidence = bytesTimes(51) },
	} {
		d := sample()
		change(&d)
		if _, err := xarf.Write(d); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	d := sample()
	d.Evidence[0].Data = make([]byte, xarf.EvidenceSize+1)
	if _, err := xarf.Write(d); !errors.Is(err, xarf.ErrEvidence) {
		t.Errorf("evidence beyond the limit: %v", err)
	}
	d = sample()
	d.MailFrom = "" // the null sender: the schema has no word for it
	if _, err := xarf.Write(d); !errors.Is(err, xarf.ErrSMTP) {
		t.Errorf("null sender: %v", err)
	}
}

// The samples are valid by their schema; without a required field they are not, and are read
// all the same or refused, never worse.
func TestSamplesPositiveAndNegative(t *testing.T) {
	master := schemas(t, "xarf-v4-master.json")
	paths, err := filepath.Glob(filepath.Join(mailtest.Suites(t, "arf"), "xarf-v4", "samples", "v4", "*.json"))
	if err != nil || len(paths) != 32 {
		t.Fatalf("%d samples, %v", len(paths), err)
	}
	valid, read, negatives, refused := 0, 0, 0, 0
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := judge(t, master, raw); err == nil {
			valid++
		} else {
			t.Logf("%s is not valid by its own schema: %.200v", filepath.Base(path), err)
		}
		if d, _, ok := xarf.Read(raw); ok && d.Category != "" && d.Type != "" && d.Source != "" && !d.Time.IsZero() && d.Reporter.Contact != "" {
			read++
		} else {
			t.Errorf("%s: read as %+v", filepath.Base(path), d)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(raw, &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"xarf_version", "report_id", "timestamp", "reporter", "sender", "source_identifier", "category", "type"} {
			kept := fields[name]
			delete(fields, name)
			less, _ := json.Marshal(fields)
			fields[name] = kept
			if judge(t, master, less) == nil {
				t.Errorf("%s without %s is valid", filepath.Base(path), name)
			}
			negatives++
			if _, _, ok := xarf.Read(less); !ok {
				refused++
			}
		}
	}
	t.Logf("%d samples: %d valid, %d read; %d negatives: %d are no XARF, the others are read in part", len(paths), valid, read, negatives, refused)
	if valid != 32 || read != 32 || negatives != 256 || refused != 32 {
		t.Error("the counts were 32 valid, 32 read, 256 negatives, 32 of them no XARF")
	}
}

// A report of version 3 goes out as one of version 4 that says where it comes from.
func TestThreeBecomesFour(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(mailtest.Suites(t, "arf"), "xarf-v4", "samples", "v3", "spam_v3_sample.json"))
	if err != nil {
		t.Fatal(err)
	}
	d, problems, ok := xarf.Read(raw)
	if !ok || len(problems) > 0 || d.Version != "3.0.0" || d.Source != "192.168.1.100" || d.Port != 25 || d.MailFrom != "marketing@example.com" || d.Category != "messaging" {
		t.Fatalf("%v %v %+v", ok, problems, d)
	}
	d.ID, d.EvidenceSource = "02eb480f-8172-431a-9276-c28ba90f694a", "spamtrap"
	out, err := xarf.Write(d)
	if err != nil {
		t.Fatal(err)
	}
	if err := judge(t, schemas(t, "types/messaging-spam.json"), out); err != nil {
		t.Error(err)
	}
	if !bytes.Contains(out, []byte(`"legacy_version": "3"`)) || bytes.Contains(out, []byte("_internal")) {
		t.Errorf("written as %s", out)
	}
}
