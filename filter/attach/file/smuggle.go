package file

import "bytes"

// smuggleBytes bounds how much of a page is looked at.
const smuggleBytes = 4 << 20

// longLiteral is how many letters of base64 in one run are a file and not a picture's name.
const longLiteral = 1024

// Smuggles says how an attached page builds a file on the reader's machine, past whoever looks
// at what a message carries; "" where it does not.
func Smuggles(page []byte) string {
	page = page[:min(len(page), smuggleBytes)]
	lower := bytes.ToLower(page)
	has := func(words ...string) bool {
		for _, w := range words {
			if bytes.Contains(lower, []byte(w)) {
				return true
			}
		}
		return false
	}
	saves := has("mssaveoropenblob", "mssaveblob")
	builds := has("new blob(", "new blob (", "new file([", "createobjecturl", `["blob"]`, `['blob']`)
	falls := has("download", ".click(", `["click"]`, `['click']`, "location", "window.open", "iframe")
	decodes := has("atob", "fromcharcode", "charcodeat", "uint8array", "frombase64", "decodeuri", "unescape(")
	switch {
	case !has("<script", "onload", "onerror", "onclick", "javascript:", "srcdoc"):
	case saves && (decodes || literal(page)):
		return "a script of the page hands out a file that it holds"
	case builds && falls && (decodes && literal(page) || decodes && has("download")):
		return "a script of the page builds a file and hands it out"
	}
	if has("data:application/", "data:;base64", "data:octet/") && has(" download") && literal(page) {
		return "a link of the page is a file that the page holds"
	}
	return ""
}

// literal reports whether the page holds a long run of base64 or hexadecimal that is not the
// picture it shows.
func literal(page []byte) bool {
	run, start := 0, 0
	for i, c := range page {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
			if run == 0 {
				start = i
			}
			if run++; run >= longLiteral && !picture(page[max(0, start-40):start]) {
				return true
			}
			continue
		}
		run = 0
	}
	return false
}

// picture reports whether what stands before a literal says that it is one.
func picture(before []byte) bool {
	before = bytes.ToLower(before)
	return bytes.Contains(before, []byte("data:image/")) || bytes.Contains(before, []byte("data:font/")) || bytes.Contains(before, []byte("data:application/font"))
}
