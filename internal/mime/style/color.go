package style

import "bytes"

// Color is a colour as it is shown, 0xrrggbb, or one of the two that have none.
type Color int32

// Colours by name.
const (
	Unknown     Color = -1 // a picture, a blend, a name that is not known
	Transparent Color = -2
	Black       Color = 0
	White       Color = 0xffffff
)

// alike is how far two colours may be apart, by each of red, green and blue, that look the same.
const alike = 12

// near reports whether text of that colour is lost on the other.
func (c Color) near(o Color) bool {
	if c < 0 || o < 0 {
		return false
	}
	for shift := 0; shift <= 16; shift += 8 {
		d := (c>>shift)&0xff - (o>>shift)&0xff
		if d > alike || d < -alike {
			return false
		}
	}
	return true
}

// ParseColor reads a colour as CSS and old attributes write it.
func ParseColor(b []byte) Color {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return Unknown
	}
	if b[0] == '#' {
		return hexColor(b[1:])
	}
	var buf [32]byte
	s := lower(buf[:], b)
	if i := bytes.IndexByte(s, '('); i > 0 {
		return rgb(s[:i], s[i+1:])
	}
	if c := named(s); c != Unknown {
		return c
	}
	return hexColor(b) // old attributes leave the # out
}

// named knows the names that hide text or undo it.
func named(s []byte) Color {
	switch string(s) {
	case "white":
		return White
	case "black", "windowtext":
		return Black
	case "transparent":
		return Transparent
	case "snow", "ghostwhite", "floralwhite", "mintcream", "azure", "ivory":
		return 0xfafafa
	case "whitesmoke":
		return 0xf5f5f5
	case "gray", "grey":
		return 0x808080
	case "silver":
		return 0xc0c0c0
	case "red":
		return 0xff0000
	case "green":
		return 0x008000
	case "blue":
		return 0x0000ff
	case "navy":
		return 0x000080
	case "yellow":
		return 0xffff00
	case "orange":
		return 0xffa500
	}
	return Unknown
}

func hexColor(b []byte) Color {
	var digits [8]Color
	if len(b) > len(digits) {
		return Unknown
	}
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9':
			digits[i] = Color(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digits[i] = Color(c|0x20-'a') + 10
		default:
			return Unknown
		}
	}
	switch d := digits; len(b) {
	case 3, 4:
		return veiled(d[0]*0x110000+d[1]*0x1100+d[2]*0x11, len(b) == 4, d[3]*0x11)
	case 6, 8:
		return veiled(d[0]<<20|d[1]<<16|d[2]<<12|d[3]<<8|d[4]<<4|d[5], len(b) == 8, d[6]<<4|d[7])
	}
	return Unknown
}

// veiled is a colour that lets through what is below it.
func veiled(c Color, has bool, alpha Color) Color {
	switch {
	case !has || alpha >= 0xf0:
		return c
	case alpha <= 0x0c:
		return Transparent
	}
	return Unknown
}

// rgb reads rgb(r, g, b) and rgba(r, g, b, a).
func rgb(name, args []byte) Color {
	if string(name) != "rgb" && string(name) != "rgba" {
		return Unknown
	}
	var c Color
	for i := range 4 {
		args = bytes.TrimLeft(args, " ,/\t")
		n, negative, rest := number(args)
		if negative {
			n = 0
		}
		switch {
		case len(rest) == len(args) && i == 3:
			return c
		case len(rest) == len(args):
			return Unknown
		case i == 3:
			return veiled(c, true, Color(min(n*255/scale, 255)))
		}
		c = c<<8 | Color(max(0, min(n/scale, 255)))
		args = rest
	}
	return c
}
