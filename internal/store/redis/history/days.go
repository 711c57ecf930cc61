package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"postern/filter/history"
)

// A value is the format, the last octets of its key, and the days in rising order: each its
// number since 1970, the good and the bad marks.
const (
	format = 1
	tail   = 4 // octets of the key in a value, so that an answer to another question is noticed
	entry  = 4 // octets of a day
)

// maxDays bounds the days of one key; the oldest fall out.
const maxDays = 92

// errForeign says that the store answered with what is kept under another key.
var errForeign = errors.New("the store answered with the history of another key")

func dayOf(t time.Time) int64 {
	return min(max(t.Unix()/86400, 0), math.MaxUint16)
}

// mine is the last part of a key.
func mine(k history.Key) string { return string(k[len(k)-tail:]) }

// sum adds up the days of a value from first to last. What is no value of ours is nothing; a
// value of another key is an error.
func sum(value string, k history.Key, first, last int64) (p history.Past, err error) {
	if len(value) < 1+tail || value[0] != format || (len(value)-1-tail)%entry != 0 {
		return p, nil
	}
	if !bytes.Equal([]byte(value[1:1+tail]), k[len(k)-tail:]) {
		return p, errForeign
	}
	for d := []byte(value[1+tail:]); len(d) > 0; d = d[entry:] {
		if n := int64(binary.BigEndian.Uint16(d)); n < first || n > last {
			continue
		}
		p.Good += int(d[2])
		p.Bad += int(d[3])
		if d[2] > 0 {
			p.Days++
		}
	}
	return p, nil
}

// add adds marks of some days to a value and keeps the value for as long as the marks are of
// use, by the clock of the server: a wrong clock of a node shortens nothing, and a longer time
// is kept. KEYS: the value. ARGV: format and tail, milliseconds to keep, whether a new key may
// be made, most days; then for each day its number, good and bad marks. It returns 1 for a
// new key, 0 for an old one, -1 for one that may not be made. What is no value of ours is
// written over.
const add = `local k,h=KEYS[1],ARGV[1]
local v=redis.pcall('GET',k)
local d,n={},{}
if type(v)=='string' and v:sub(1,#h)==h and (#v-#h)%4==0 then
for i=#h+1,#v,4 do
local a,b,g,w=v:byte(i,i+3)
n[#n+1]=a*256+b
d[a*256+b]={g,w}
end
elseif v==false and ARGV[3]=='0' then return -1 end
local fresh=v==false and 1 or 0
for i=5,#ARGV,3 do
local t=tonumber(ARGV[i])
if not d[t] then d[t]={0,0} n[#n+1]=t end
d[t][1]=math.min(255,d[t][1]+tonumber(ARGV[i+1]))
d[t][2]=math.min(255,d[t][2]+tonumber(ARGV[i+2]))
end
table.sort(n)
local o={h}
for i=math.max(1,#n-tonumber(ARGV[4])+1),#n do
local t=n[i]
o[#o+1]=string.char(math.floor(t/256),t%256,d[t][1],d[t][2])
end
local ms=math.max(tonumber(ARGV[2]),redis.call('PTTL',k))
redis.call('SET',k,table.concat(o),'PX',string.format('%.0f',ms))
return fresh`
