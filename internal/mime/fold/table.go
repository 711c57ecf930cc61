package fold

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// script is what kind of letter a rune is.
type script uint8

const (
	none script = iota
	latin
	cyrillic
	greek
	rare // scripts whose letters stand in mail for Latin ones more often than for themselves
)

// like is what a letter of another script looks like; strong where hardly anybody can tell.
type like struct {
	r      rune
	strong bool
}

// pairs writes rows of a table: letters and what each looks like, by turns.
func pairs(to map[rune]like, strong bool, rows ...string) {
	for _, row := range rows {
		var from rune
		for i, r := range []rune(strings.ReplaceAll(row, " ", "")) {
			if i%2 == 0 {
				from = r
			} else {
				to[from] = like{r, strong}
			}
		}
	}
}

// looks are letters that are drawn like a Latin one (Unicode TS 39, the cases within these scripts,
// and the small letters that have the form of a Latin capital).
var looks = func() map[rune]like {
	m := map[rune]like{}
	pairs(m, true,
		"аaсcеeоoрpхxуyіiјjѕsԁdԛqԝwһhӏlѵv", "АAВBСCЕEНHІIЈJКKМMОOРPЅSТTХXѴVԌGԚQԜWӀIҮYУYЅS",
		"οoνvϲcϳjαaιiρpυuΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX",
		"օoսuոnհhցgզqՏSՍUՕOԼL",
		"ᎪAᎫJᎬEᎳWᎷMᎻHᎽYᏀGᏃZᏙVᏚSᏞLᏟCᏢPᏦKᏴBᎠDᎡRᎢTᎥi", "ꓐBꓑPꓓDꓔTꓖGꓗKꓙJꓚCꓜZꓝFꓟMꓠNꓡLꓢSꓣRꓦVꓧHꓪWꓫXꓬYꓮAꓰEꓲIꓳOꓴU", "ⲟoⲞOⲣpⲢPⲥcⲤC")
	pairs(m, false, "вbкkмmнhтtгrпnиuьbшwїiёeѐeүyѡwғfҝkқkңhҳxҹyәe", "ЁEЇIЯRИNҒFҚKҢH", "βbγyεeηnκkσoτtχxωwόoάaίiέeήnύuώwϊi", "ΆAΈEΉHΊIΌOΎY")
	return m
}()

// near are those of Greek and Cyrillic again, where they are found at once.
var near = func() (t [0x530 - 0x370]like) {
	for i := range t {
		t[i] = looks[rune(i)+0x370]
	}
	return t
}()

// looksLike is what a letter looks like; its r is 0 where it looks like no Latin one.
func looksLike(r rune) like {
	if r >= 0x370 && r < 0x530 {
		return near[r-0x370]
	}
	return looks[r]
}

// back are the Latin letters that can stand for one of another script.
var back = map[script]map[rune]rune{
	cyrillic: turned("aаcсeеoоpрxхyуiіjјsѕkкmмtтAАBВCСEЕHНKКMМOОPРTТXХYУIІ"),
	greek:    turned("oοvνpρaαiιuυkκtτxχAΑBΒEΕZΖHΗIΙKΚMΜNΝOΟPΡTΤYΥXΧ"),
}

func turned(row string) map[rune]rune {
	m, l := map[rune]rune{}, []rune(row)
	for i := 0; i+1 < len(l); i += 2 {
		m[l[i]] = l[i+1]
	}
	return m
}

// styled are Latin letters in a dress of their own that no compatibility form undoes.
var styled = func() map[rune]rune {
	m := turned("ᴀaʙbᴄcᴅdᴇeꜰfɢgʜhɪiᴊjᴋkʟlᴍmɴnᴏoᴘpʀrꜱsᴛtᴜuᴠvᴡwʏyᴢzɑaɡgɩiƅb")
	for i := range rune(26) {
		m[0x1f150+i], m[0x1f170+i] = 'A'+i, 'A'+i
	}
	return m
}()

// barred are Latin letters with a stroke, which no decomposition takes off.
var barred = turned("ıiłlŁLøoØOđdĐDħhĦHŧtŦTƀbɨi")

// lastBare bounds the table of letters with accents.
const lastBare = 0x250

// bare are the letters up to there, and those of Vietnamese, without their accents; 0 where they
// have none.
var bare, bareMore = func() (low [lastBare]uint8, more [0x100]uint8) {
	plain := func(r rune) uint8 {
		if l, ok := barred[r]; ok {
			return uint8(l)
		}
		first, n := utf8.DecodeRuneInString(norm.NFD.String(string(r)))
		if first < utf8.RuneSelf && n < len(norm.NFD.String(string(r))) && unicode.IsLetter(first) {
			return uint8(first)
		}
		return 0
	}
	for r := rune(0xc0); r < lastBare; r++ {
		low[r] = plain(r)
	}
	for i := range rune(0x100) {
		more[i] = plain(0x1e00 + i)
	}
	return low, more
}()

// without is a Latin letter without its accents.
func without(r rune) rune {
	switch {
	case r < lastBare:
		if b := bare[r]; b != 0 {
			return rune(b)
		}
	case r >= 0x1e00 && r < 0x1f00:
		if b := bareMore[r-0x1e00]; b != 0 {
			return rune(b)
		}
	default:
		if l, ok := barred[r]; ok {
			return l
		}
	}
	return r
}

// scriptOf is the script of a letter that may stand for another; none for all others.
func scriptOf(r rune) script {
	switch {
	case 'a' <= r|0x20 && r|0x20 <= 'z':
		return latin
	case r < 0xc0, r == 0xd7, r == 0xf7:
		return none
	case r < 0x2b0:
		return latin
	case r < 0x370:
		return none
	case r < 0x400:
		if unicode.IsLetter(r) {
			return greek
		}
	case r < 0x530:
		if unicode.IsLetter(r) {
			return cyrillic
		}
	case r < 0x590, r >= 0x13a0 && r < 0x1400, r >= 0xa4d0 && r < 0xa500, r >= 0x2c80 && r < 0x2d00:
		return rare
	case r >= 0x1e00 && r < 0x1f00, r >= 0x1d00 && r < 0x1d80:
		return latin
	case r >= 0x1f00 && r < 0x2000:
		return greek
	}
	return none
}

// Hidden reports whether nobody sees a character: zero widths, soft hyphens, marks of direction.
func Hidden(r rune) bool {
	switch r {
	case 0xad, 0x34f, 0x61c, 0x180e, 0xfeff:
		return true
	}
	return r >= 0x200b && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2060 && r <= 0x2069
}

// part reports whether a character takes part in words that may be folded.
func part(r rune) bool {
	switch {
	case r < 0xc0:
		return scriptOf(r) != none
	case r >= 0x300 && r < 0x370, r >= 0xa730 && r < 0xa732, r >= 0x1f150 && r < 0x1f16a, r >= 0x1f170 && r < 0x1f18a:
		return true
	}
	return scriptOf(r) != none || r >= 0x1d00 && compatible(r)
}

// undivided reports whether a script writes words side by side, so that what is hidden between its
// characters serves nothing.
func undivided(r rune) bool {
	return r >= 0x3040 && r < 0xa4d0 || r >= 0xac00 && r < 0xd7b0 || r >= 0x20000 && r < 0x30000
}

// compatible reports whether a character may be a letter or a digit in another dress.
func compatible(r rune) bool {
	switch {
	case r < 0x2100:
		return r >= 0x1d00 && r < 0x1dc0 || r >= 0x2070 && r < 0x20a0
	case r < 0x2150:
		return unicode.IsLetter(r)
	case r < 0x24b6:
		return r >= 0x2160 && r < 0x2189
	case r < 0x24ea:
		return true
	}
	return r >= 0xfb00 && r < 0xfb07 || r >= 0xff10 && r < 0xff1a || r >= 0xff21 && r < 0xff3b || r >= 0xff41 && r < 0xff5b ||
		r >= 0x1d400 && r < 0x1d800 || r >= 0x1f130 && r < 0x1f14a
}
