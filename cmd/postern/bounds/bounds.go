// Package bounds lists the limits of the rooms, with what happens past each.
package bounds

// Row is one limit.
type Row struct {
	Room  string `json:"room"`
	What  string `json:"what"`
	Value string `json:"value"`
	Past  string `json:"past"` // what happens beyond it
	Key   string `json:"key,omitempty"`
}
