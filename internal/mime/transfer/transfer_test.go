package transfer_test

import (
	"testing"

	"postern/internal/mime/transfer"
)

func TestName(t *testing.T) {
	for in, want := range map[string]struct {
		name  string
		exact bool
	}{
		"base64":            {transfer.Base64, true},
		" BASE64 ":          {transfer.Base64, true},
		"Quoted-Printable":  {transfer.Quoted, true},
		"7bit":              {transfer.Identity, true},
		"":                  {transfer.Identity, true},
		"x-uue":             {transfer.UU, true},
		"base64;x":          {transfer.Base64, false},
		"(c)base64":         {transfer.Base64, false},
		"\"base64\"":        {transfer.Base64, false},
		"base64 8bit":       {transfer.Base64, false},
		"base-64":           {transfer.Base64, false},
		"base64\x00":        {transfer.Base64, false},
		"quoted-printable.": {transfer.Quoted, false},
		"8bit (or so)":      {transfer.Identity, false},
		"x-private":         {"", false},
	} {
		if name, exact := transfer.Name(in); name != want.name || exact != want.exact {
			t.Errorf("%q: %q %v, want %v", in, name, exact, want)
		}
	}
}

func TestUndo(t *testing.T) {
	for name, in := range map[string]string{
		transfer.Base64: "Q2F0", transfer.Quoted: "=43at", transfer.UU: "begin 644 x\n#0V%T\n`\nend\n", transfer.Identity: "Cat", "other": "Cat",
	} {
		if got, d := transfer.Undo(name, []byte(in)); len(got) != 1 || string(got[0]) != "Cat" || d != 0 {
			t.Errorf("%s: %q, damage %b", name, got, d)
		}
	}
}

func TestConflict(t *testing.T) {
	if transfer.Conflict(transfer.Base64, transfer.Base64) || transfer.Conflict(transfer.Identity, transfer.Quoted) || !transfer.Conflict(transfer.Identity, transfer.Base64) {
		t.Error("which encodings contradict each other is wrong")
	}
}
