package header_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"postern/internal/mime/header"
)

// TestWordsOfCharsets: encoded words in every charset that must be read, Base64 and Q, whole and
// torn between any two bytes as old mail programs tear them.
func TestWordsOfCharsets(t *testing.T) {
	for _, x := range []struct{ charset, data, want string }{
		{"gb2312", "xPq6w6Ost6LGsQ==", "您好，发票"},
		{"GB2312*xx", "xPq6w6Ost6LGsQ==", "您好，发票"},
		{"gbk", "xPq6w6Ost6LGsQ==", "您好，发票"},
		{"gb18030", "xPq6w6Ost6LGsQ==", "您好，发票"},
		{"big5", "sXqmbqFBtW+yvA==", "您好，發票"},
		{"BIG5*xx", "sXqmbqFBtW+yvA==", "您好，發票"},
		{"shift_jis", "grKSjZW2gsyPpJVp", "ご注文の商品"},
		{"iso-2022-jp", "GyRCJDRDbUo4JE4+JklKGyhC", "ご注文の商品"},
		{"euc-jp", "pLTD7cq4pM6+psnK", "ご注文の商品"},
		{"euc-kr", "vsiz58fPvLy/5A==", "안녕하세요"},
		{"koi8-r", "+sTSwdfT1NfVytTF", "Здравствуйте"},
		{"KOI8-R*xx", "+sTSwdfT1NfVytTF", "Здравствуйте"},
		{"windows-1251", "x+Tw4OLx8uLz6fLl", "Здравствуйте"},
		{"iso-8859-5", "t9Tg0NLh4tLj2eLV", "Здравствуйте"},
		{"ibm866", "h6TgoKLh4qLjqeKl", "Здравствуйте"},
		{"koi8-u", "8NLJ16bULCCn1sHL", "Привіт, їжак"},
		{"windows-1251", "z/Do4rPyLCC/5uDq", "Привіт, їжак"},
		{"iso-8859-7", "yuHr5+zd8eEg8+Hy", "Καλημέρα σας"},
		{"windows-1253", "yuHr5+zd8eEg8+Hy", "Καλημέρα σας"},
		{"WINDOWS-1253*xx", "yuHr5+zd8eEg8+Hy", "Καλημέρα σας"},
		{"windows-1250", "UPjtbGmaIJ5sdZ1vdehr/Q==", "Příliš žluťoučký"},
		{"iso-8859-2", "UPjtbGm5IL5sdbtvdehr/Q==", "Příliš žluťoučký"},
		{"windows-1252", "U2No9m5lIEdy/N9l", "Schöne Grüße"},
		{"iso-8859-1", "U2No9m5lIEdy/N9l", "Schöne Grüße"},
		{"iso-8859-15", "U2No9m5lIEdy/N9l", "Schöne Grüße"},
		{"windows-1254", "/fD8/vbn", "ığüşöç"},
		{"iso-8859-9", "/fD8/vbn", "ığüşöç"},
		{"windows-1255", "+ezl7Q==", "שלום"},
		{"iso-8859-8", "+ezl7Q==", "שלום"},
		{"windows-1256", "49HNyMc=", "مرحبا"},
		{"iso-8859-6", "5dHNyMc=", "مرحبا"},
		{"windows-1257", "Qehp+ywg/mVt6w==", "Ačiū, žemė"},
		{"windows-1258", "0G5n", "Đng"},
		{"windows-874", "ysfRyrTV", "สวัสดี"},
		{"tis-620", "ysfRyrTV", "สวัสดี"},
		{"utf-8", "6KqeINCWIMOp", "語 Ж é"},
		{"utf-16", "ip4AIAQWACAA6Q==", "語 Ж é"},
		{"utf-7", "K2lwNCArQkJZICtBT2st", "語 Ж é"},
		{"UTF-7*xx", "K2lwNCArQkJZICtBT2st", "語 Ж é"},
	} {
		raw, err := base64.StdEncoding.DecodeString(x.data)
		if err != nil {
			t.Fatal(err)
		}
		if got := header.Words("=?" + x.charset + "?B?" + x.data + "?="); got != x.want {
			t.Errorf("%s: %q, want %q", x.charset, got, x.want)
		}
		for at := 1; at < len(raw); at++ {
			if got := header.Words(quoted(x.charset, raw[:at]) + "\r\n " + quoted(x.charset, raw[at:])); got != x.want {
				t.Errorf("%s torn at %d: %q, want %q", x.charset, at, got, x.want)
				break
			}
		}
	}
}

// quoted is an encoded word in Q.
func quoted(charset string, raw []byte) string {
	var b strings.Builder
	for _, c := range raw {
		fmt.Fprintf(&b, "=%02X", c)
	}
	return "=?" + charset + "?Q?" + b.String() + "?="
}
