package qr_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/image/bmp"

	"postern/filter/link/qr"
	"postern/internal/mailtest/samples"
)

// TestMain is the helper where it is started as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case qr.Hidden:
			os.Exit(map[bool]int{true: 0, false: 1}[qr.Serve(os.Stdin, os.Stdout) == nil])
		case "dies":
			os.Exit(1)
		case "hangs":
			os.Stdout.Write([]byte("L"))
			select {}
		case "babbles":
			os.Stdout.Write([]byte("L\x00\x00\x00\x02no"))
			select {}
		case "claims":
			os.Stdout.Write([]byte("L\xff\xff\xff\xff"))
			select {}
		case "pries":
			os.Exit(pry())
		}
	}
	goleak.VerifyTestMain(m)
}

// pry locks itself in as a helper does and tries what that must prevent.
func pry() int {
	in, out, _ := os.Pipe()
	out.Close()
	var mode bytes.Buffer
	qr.Serve(in, &mode)
	if mode.String() != "L" {
		os.Stdout.WriteString("not locked in")
		return 0
	}
	if _, err := os.Open("/etc/passwd"); !errors.Is(err, syscall.EPERM) {
		fmt.Fprint(os.Stdout, "a file opens: ", err)
	}
	if _, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0); !errors.Is(err, syscall.EPERM) {
		fmt.Fprint(os.Stdout, "a socket opens: ", err)
	}
	if err := syscall.Exec("/bin/true", []string{"true"}, nil); !errors.Is(err, syscall.EPERM) {
		fmt.Fprint(os.Stdout, "a program starts: ", err)
	}
	if err := syscall.Kill(syscall.Getppid(), 0); !errors.Is(err, syscall.EPERM) {
		fmt.Fprint(os.Stdout, "another process hears of it: ", err)
	}
	os.Stdout.WriteString("done\n")
	var hold [][]byte // beyond its memory, this process ends
	for range 512 {
		hold = append(hold, bytes.Repeat([]byte{1}, 1<<20))
	}
	fmt.Fprint(os.Stdout, "it took ", len(hold), " MB")
	return 0
}

func pool(t testing.TB, word string) *qr.Pool {
	t.Helper()
	p := qr.New([]string{os.Args[0], word}, slog.New(slog.DiscardHandler))
	t.Cleanup(p.Close)
	return p
}

// pixels is the picture of a code.
func pixels(t testing.TB, text string) image.Image {
	t.Helper()
	m, err := png.Decode(bytes.NewReader(samples.QR(text)))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// read looks at a picture, which a machine that stands still may keep a helper from.
func read(t *testing.T, p *qr.Pool, picture []byte) []string {
	t.Helper()
	var err error
	for range 20 {
		var out []string
		if out, err = p.Read(t.Context(), picture); err == nil {
			return out
		}
	}
	t.Fatal(err)
	return nil
}

func TestForms(t *testing.T) {
	const text = "https://login.example.net/a?b=c"
	m := pixels(t, text)
	b := m.Bounds()
	palette := image.NewPaletted(b, color.Palette{color.White, color.Black})
	clear, night := image.NewNRGBA(b), image.NewGray(b)
	for y := range b.Dy() {
		for x := range b.Dx() {
			dark := color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y < 128
			if dark {
				palette.SetColorIndex(x, y, 1)
				clear.Set(x, y, color.Black)
			} else {
				night.SetGray(x, y, color.Gray{255})
			}
		}
	}
	for i := range night.Pix {
		night.Pix[i] = 255 - night.Pix[i]
	}
	write := func(f func(*bytes.Buffer) error) []byte {
		var buf bytes.Buffer
		if err := f(&buf); err != nil {
			t.Fatal(err)
		}
		return buf.Bytes()
	}
	p := pool(t, qr.Hidden)
	for name, picture := range map[string][]byte{
		"PNG":           samples.QR(text),
		"transparent":   write(func(w *bytes.Buffer) error { return png.Encode(w, clear) }),
		"light on dark": write(func(w *bytes.Buffer) error { return png.Encode(w, night) }),
		"JPEG":          write(func(w *bytes.Buffer) error { return jpeg.Encode(w, m, &jpeg.Options{Quality: 60}) }),
		"GIF":           write(func(w *bytes.Buffer) error { return gif.Encode(w, palette, nil) }),
		"BMP":           write(func(w *bytes.Buffer) error { return bmp.Encode(w, m) }),
		"with a tail":   append(samples.QR(text), "junk"...),
	} {
		if !qr.May(picture) {
			t.Errorf("%s is not looked at", name)
		}
		if got := read(t, p, picture); !slices.Equal(got, []string{text}) {
			t.Errorf("%s: %q", name, got)
		}
	}
	poster := image.NewGray(image.Rect(0, 0, 1500, 1100)) // larger than what is looked at, the code a part of it
	for i := range poster.Pix {
		poster.Pix[i] = 240
	}
	for y := range b.Dy() * 4 {
		for x := range b.Dx() * 4 {
			poster.Set(300+x, 200+y, m.At(b.Min.X+x/4, b.Min.Y+y/4))
		}
	}
	if got := read(t, p, write(func(w *bytes.Buffer) error { return jpeg.Encode(w, poster, nil) })); !slices.Equal(got, []string{text}) {
		t.Errorf("a poster: %q", got)
	}
	plain := image.NewGray(image.Rect(0, 0, 200, 200))
	if got := read(t, p, write(func(w *bytes.Buffer) error { return png.Encode(w, plain) })); len(got) != 0 {
		t.Errorf("a picture without a code: %q", got)
	}
}

// chunk is one of a PNG.
func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// H-G15: what is dangerous to read is refused by its head or not read at all, and the helper goes on.
func TestBombs(t *testing.T) {
	head := func(w, h uint32) []byte {
		b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
		return slices.Concat([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(b, 8, 6, 0, 0, 0)), chunk("IDAT", make([]byte, 100)))
	}
	pad := make([]byte, 200)
	p := pool(t, qr.Hidden)
	for name, x := range map[string]struct {
		data []byte
		may  bool
	}{
		"60,000 by 60,000":      {head(60_000, 60_000), true},
		"as wide as can be":     {head(1<<31-1, 1), true},
		"of no height":          {head(100, 0), true},
		"GIF of 65,535":         {append([]byte("GIF89a\xff\xff\xff\xff\x00\x00\x00"), pad...), true},
		"BMP of two billion":    {append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00\xff\xff\xff\x7f\xff\xff\xff\x7f\x01\x00\x18\x00"), pad...), true},
		"WebP of nothing":       {append([]byte("RIFF\xff\xff\xff\xffWEBPVP8L\xff\xff\xff\xff\x2f\xff\xff\xff\xff"), pad...), true},
		"WebP, VP8X":            {append([]byte("RIFF\x00\x01\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00\xff\xff\xff\xff\xff\xff"), pad...), true},
		"JPEG of 65,535":        {append([]byte("\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"), pad...), true},
		"JPEG of no end":        {append([]byte("\xff\xd8\xff"), bytes.Repeat([]byte{0xff}, 100_000)...), true},
		"TIFF":                  {append([]byte("II*\x00\x08\x00\x00\x00\xff\xff"), pad...), false},
		"a drawing":             {append([]byte("<svg xmlns='http://www.w3.org/2000/svg'>"), pad...), false},
		"a letter":              {[]byte(strings.Repeat("Dear Bob, ", 50)), false},
		"larger than looked at": {append(samples.QR("https://a.example/"), make([]byte, qr.MaxBytes)...), false},
		"smaller than a code":   {head(1, 1)[:40], false},
	} {
		if qr.May(x.data) != x.may {
			t.Errorf("%s: looked at is %v", name, !x.may)
		}
		if x.may {
			if got := read(t, p, x.data); len(got) != 0 {
				t.Errorf("%s: %q", name, got)
			}
		}
	}
	if got := read(t, p, samples.QR("https://a.example/")); len(got) != 1 {
		t.Errorf("after all that: %q", got)
	}
}

// A helper that dies, hangs, or answers what is no answer is an error, and the next picture has another.
func TestFaults(t *testing.T) {
	for _, word := range []string{"dies", "hangs", "babbles", "claims"} {
		p := pool(t, word)
		for range 2 * qr.Helpers {
			if got, err := p.Read(t.Context(), samples.QR("https://a.example/")); err == nil {
				t.Errorf("%s: %q", word, got)
			}
		}
	}
	p := qr.New([]string{"/nowhere/at/all"}, slog.New(slog.DiscardHandler))
	if _, err := p.Read(t.Context(), nil); err == nil {
		t.Error("a program that is not there reads")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Close()
	if _, err := p.Read(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

// A helper has no files, no network, no programs, and an end to its memory.
func TestLockedIn(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	child, err := os.StartProcess(os.Args[0], []string{os.Args[0], "pries"}, &os.ProcAttr{Files: []*os.File{nil, w, nil}, Env: []string{"GOMAXPROCS=1"}})
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	var out bytes.Buffer
	out.ReadFrom(r)
	state, err := child.Wait()
	r.Close()
	if err != nil || state.Success() || out.String() != "done\n" {
		t.Errorf("%v %v: %q", err, state, out.String())
	}
}

func TestManyAtOnce(t *testing.T) {
	p := pool(t, qr.Hidden)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			text := fmt.Sprintf("https://h%d.example/", i)
			if got := read(t, p, samples.QR(text)); !slices.Equal(got, []string{text}) {
				t.Errorf("%q, want %q", got, text)
			}
		})
	}
	wg.Wait()
}

// BenchmarkRead is the cost of a picture in a helper that runs, and of one that has to be started.
func BenchmarkRead(b *testing.B) {
	code := samples.QR("https://login.example.net/a?b=c")
	var photo bytes.Buffer
	m := image.NewRGBA(image.Rect(0, 0, 1600, 1200))
	for i := range m.Pix {
		m.Pix[i] = byte(i * i >> 7)
	}
	jpeg.Encode(&photo, m, nil)
	var logo bytes.Buffer
	png.Encode(&logo, m.SubImage(image.Rect(0, 0, 200, 60)))
	p := pool(b, qr.Hidden)
	for name, picture := range map[string][]byte{"code": code, "logo": logo.Bytes(), "photo of two megapixels": photo.Bytes()} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.Read(b.Context(), picture); err != nil {
					b.Log(err)
				}
			}
		})
	}
	b.Run("with its start", func(b *testing.B) {
		for b.Loop() {
			fresh := qr.New([]string{os.Args[0], qr.Hidden}, slog.New(slog.DiscardHandler))
			if _, err := fresh.Read(b.Context(), code); err != nil {
				b.Log(err)
			}
			fresh.Close()
		}
	})
}
