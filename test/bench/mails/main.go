// Command mails makes the mails of the bench: labelled ham and spam from a corpus, and mail
// with attachments, DKIM-signed, made from a seed. The same corpus gives the same mails.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// share says how many mails of a corpus are taken, of 500.
var share = []struct {
	folder string
	n      int
}{
	{"ham/list-ham", 80}, {"ham/foff-milter", 40}, {"ham/spamassassin-corpus", 55},
	{"spam/phishing-pot", 90}, {"spam/foff-milter", 30}, {"spam/spamassassin-corpus", 55},
}

const made = 150 // mails with attachments, of 500

// letter is a line of the index.
type letter struct {
	ID    string `json:"id"`
	Label string `json:"label"` // ham, spam or made
	File  string `json:"file"`
	From  string `json:"from"`
	IP    string `json:"ip"`
	Helo  string `json:"helo"`
	Name  string `json:"name"`
	Size  int    `json:"size"`
}

func main() {
	corpora := flag.String("corpora", "../shared/corpora", "folder of ham, spam and envelopes.tsv")
	out := flag.String("out", "", "folder to write to")
	n := flag.Int("n", 500, "about how many mails")
	flag.Parse()
	if err := run(*corpora, *out, *n); err != nil {
		fmt.Fprintln(os.Stderr, "mails:", err)
		os.Exit(1)
	}
}

func run(corpora, out string, n int) error {
	env, err := envelopes(filepath.Join(corpora, "envelopes.tsv"))
	if err != nil {
		return err
	}
	var all []letter
	add := func(l letter, raw []byte) error {
		l.ID = fmt.Sprintf("bench-%04d", len(all))
		l.File = l.ID + ".eml"
		raw = append([]byte("X-Bench-Id: "+l.ID+"\r\n"), raw...)
		l.Size = len(raw)
		l.complete()
		all = append(all, l)
		return os.WriteFile(filepath.Join(out, l.File), raw, 0o600)
	}
	for _, s := range share {
		if err := fromCorpus(corpora, s.folder, s.n*n/500, env, add); err != nil {
			return err
		}
	}
	key, err := newKey(filepath.Join(out, "keys.tsv"))
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range made * n / 500 {
		raw, err := key.sign(compose(r, i))
		if err != nil {
			return err
		}
		if err := add(letter{Label: "made", From: fmt.Sprintf("staff%d@sender.bench.test", i%20)}, raw); err != nil {
			return err
		}
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return index(filepath.Join(out, "index.jsonl"), all)
}

func index(path string, all []letter) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	var sizes []int
	total := 0
	for _, l := range all {
		if err := enc.Encode(l); err != nil {
			return err
		}
		sizes = append(sizes, l.Size)
		total += l.Size
	}
	slices.Sort(sizes)
	k := len(sizes)
	fmt.Printf("%d mails, %d bytes on average (p50 %d, p90 %d, p99 %d, largest %d)\n", k, total/k, sizes[k/2], sizes[k*9/10], sizes[k*99/100], sizes[k-1])
	return os.WriteFile(path, b.Bytes(), 0o600)
}

var (
	plainAddress = regexp.MustCompile(`^[A-Za-z0-9.+=_/-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	plainName    = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
)

// complete fills in what the corpus does not know.
func (l *letter) complete() {
	ip, err := netip.ParseAddr(l.IP)
	if err != nil || !ip.Is4() || ip.IsPrivate() || ip.IsLoopback() {
		ip = netip.AddrFrom4([4]byte{198, 51, 100, 77})
	}
	l.IP, l.Name = ip.String(), hostName(ip.As4())
	if !plainName.MatchString(l.Helo) {
		l.Helo = l.Name
	}
	if !plainAddress.MatchString(l.From) {
		l.From = "someone@sender.bench.test"
	}
}

// hostName is the reverse name that the bench's name server gives an address.
func hostName(ip [4]byte) string {
	name := []byte("mx-")
	for _, b := range ip {
		name = append(name, 'a'+b>>4, 'a'+b&15)
	}
	return string(name) + ".bench.test"
}

func envelopes(path string) (map[string]letter, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	env := map[string]letter{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if col := strings.Split(in.Text(), "\t"); len(col) > 4 {
			env[col[1]] = letter{IP: col[2], Helo: col[3], From: col[4]}
		}
	}
	return env, in.Err()
}

const largest = 1 << 20

// fromCorpus takes n mails at even distances.
func fromCorpus(corpora, folder string, n int, env map[string]letter, add func(letter, []byte) error) error {
	files, err := os.ReadDir(filepath.Join(corpora, folder))
	if err != nil {
		return err
	}
	if len(files) < n {
		return errors.New(folder + " has too few mails")
	}
	for i := range n {
		path := folder + "/" + files[i*len(files)/n].Name()
		raw, err := os.ReadFile(filepath.Join(corpora, path))
		if err != nil {
			return err
		}
		if len(raw) > largest {
			continue
		}
		l := env[path]
		l.Label, _, _ = strings.Cut(folder, "/")
		if err := add(l, crlf(raw)); err != nil {
			return err
		}
	}
	return nil
}

// crlf makes the framing clean: every gateway is to take every mail.
func crlf(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	raw = bytes.ReplaceAll(raw, []byte("\r"), []byte(" "))
	raw = bytes.ReplaceAll(raw, []byte{0}, []byte(" "))
	raw = bytes.TrimRight(raw, "\n")
	if bytes.HasPrefix(raw, []byte("From ")) { // an mbox line
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	return append(bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n")), "\r\n"...)
}
