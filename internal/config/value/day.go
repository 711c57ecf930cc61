package value

import "time"

// Day is the longest unit that a Duration is written in.
const Day = Duration(24 * time.Hour)
