package mime_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"postern/internal/mailtest"
	"postern/internal/mime"
)

// leavesScript prints, for each file named on standard input, what Python's parser takes for
// leaves: their raw and their decoded bytes, hashed without CRs and
// trailing line ends.
const leavesScript = `
import sys, json, hashlib, email, email.policy
def h(b): return hashlib.sha256(b.replace(b"\r", b"").rstrip(b"\n")).hexdigest()
for line in sys.stdin:
    path = line.rstrip("\n")
    with open(path, "rb") as f: raw = f.read()
    out = []
    try:
        def walk(p):
            if p.get_content_type() == "message/delivery-status" and p.is_multipart(): return
            if p.is_multipart():
                if not p.get_payload(): return
                for c in p.get_payload(): walk(c)
                return
            if p.get_content_maintype() == "multipart": return # no part found: not a leaf
            body = p.get_payload(decode=False) or ""
            raw = body.encode("ascii", "surrogateescape") if isinstance(body, str) else body
            try: dec = p.get_payload(decode=True) or b""
            except Exception: dec = raw
            out.append({"type": p.get_content_type(), "raw": h(raw), "decoded": h(dec), "size": len(dec), "head": repr(dec[:60])})
        walk(email.message_from_bytes(raw))
        print(json.dumps({"path": path, "leaves": out}))
    except Exception as e:
        print(json.dumps({"path": path, "error": str(e), "leaves": out}))
`

type pythonMail struct {
	Path, Error string
	Leaves      []struct {
		Type, Raw, Decoded, Head string
		Size                     int
	}
}

func pythonLeaves(t *testing.T, files []string) []pythonMail {
	t.Helper()
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("python3 is needed as the oracle: %v", err)
		}
		t.Skip("leaves were not compared: " + python + " is missing")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", leavesScript)
	cmd.Stdin = strings.NewReader(strings.Join(files, "\n") + "\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3: %v", err)
	}
	var mails []pythonMail
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 64<<20)
	for sc.Scan() {
		var m pythonMail
		if err := json.Unmarshal(sc.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		mails = append(mails, m)
	}
	return mails
}

func hashLF(b []byte) string {
	sum := sha256.Sum256(bytes.TrimRight(lf(b), "\n"))
	return hex.EncodeToString(sum[:])
}

// pythonDeviations are the leaves of Python this walk does not have, with the reason.
var pythonDeviations = map[string]string{
	"core/src/test/resources/testmsgs/multipartemptypart.msg": "two delimiters in a row make Python miss the closing one and take the epilogue for a part",
}

// TestPythonLeaves reads the robustness suites: nothing crashes, and every leaf Python's
// parser finds is a reading of some part.
func TestPythonLeaves(t *testing.T) {
	for _, suite := range []string{"mime/mimekit", "mime/ruby-mail", "mime/cpython", "mime/enmime", "mime/mime4j"} {
		t.Run(filepath.Base(suite), func(t *testing.T) {
			dir := mailtest.Suites(t, suite)
			var files []string
			mails(t, dir, func(path string, raw []byte) {
				if !strings.Contains(path, "\n") && isMail(path) {
					files = append(files, path)
				}
			})
			total, missing, known := 0, 0, 0
			for _, m := range pythonLeaves(t, files) {
				rel, _ := filepath.Rel(dir, m.Path)
				raw, err := os.ReadFile(m.Path)
				if err != nil {
					t.Fatal(err)
				}
				have := map[string]bool{hashLF(nil): true}
				for _, p := range mime.Bytes(raw, mime.Limits{}).Parts {
					have[hashLF(p.Body())] = true
					for _, r := range p.Readings() {
						have[hashLF(r)] = true
					}
				}
				for _, l := range m.Leaves {
					total++
					if have[l.Raw] || have[l.Decoded] {
						continue
					}
					if pythonDeviations[rel] != "" {
						known++
						continue
					}
					missing++
					t.Errorf("%s: no part has Python's %s leaf of %d bytes %s", rel, l.Type, l.Size, l.Head)
				}
			}
			t.Logf("%d files, %d leaves, %d missing, %d known deviations", len(files), total, missing, known)
		})
	}
}

func isMail(path string) bool {
	switch filepath.Ext(path) {
	case ".html", ".json", ".tokens", ".jpg", ".png", ".gif", ".xml", ".tiff", ".zip", ".webp", ".wav", ".sgi", ".ras",
		".xbm", ".ppm", ".pgm", ".pbm", ".exr", ".bmp", ".au", ".aiff", ".aifc", ".xhtml", ".conf", ".gitattributes", ".bin":
		return false
	}
	return true
}
