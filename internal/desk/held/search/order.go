package search

import "net/url"

// Order is what a list is sorted by, as its address and quarantine.list say it; "" is the newest
// first.
type Order string

// Sorted is the order that a form asks for, "" for what no column head asks for.
func Sorted(form url.Values) Order {
	switch o := form.Get("order"); o {
	case "oldest", "highest", "lowest":
		return Order(o)
	}
	return ""
}

// Head is a column that the list can be sorted by.
type Head struct {
	Key     string
	Now     string // ascending, descending or none, as aria-sort says it
	Order   string // that a click asks for
	Numbers bool
}

// Time is the column of times: the newest first at the first click.
func (o Order) Time() Head {
	switch o {
	case "":
		return Head{Key: "time", Now: "descending", Order: "oldest"}
	case "oldest":
		return Head{Key: "time", Now: "ascending"}
	}
	return Head{Key: "time", Now: "none"}
}

// Score is the column of scores: the highest first at the first click.
func (o Order) Score() Head {
	switch o {
	case "highest":
		return Head{Key: "score", Now: "descending", Order: "lowest", Numbers: true}
	case "lowest":
		return Head{Key: "score", Now: "ascending", Order: "highest", Numbers: true}
	}
	return Head{Key: "score", Now: "none", Order: "highest", Numbers: true}
}
