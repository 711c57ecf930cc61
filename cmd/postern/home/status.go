package home

import "time"

// Status is how the store does, in one look.
type Status struct {
	Home     string    `json:"home"`
	Away     string    `json:"away,omitempty"`                // why it cannot be used just now
	Since    time.Time `json:"away_since,omitzero"`           //
	Trips    int64     `json:"round_trips,omitempty"`         // made so far; a pipeline is one
	Waited   int64     `json:"round_trips_of_mail,omitempty"` // of them, those that a message made
	Commands int64     `json:"commands,omitempty"`            // sent so far
	Lax      []string  `json:"not_strict,omitempty"`          // settings of the server under which it may forget
	Journal  *Journal  `json:"journal,omitempty"`             // what this node keeps as well
	Nodes    []Node    `json:"nodes,omitempty"`               // of the last minute
	Drift    []string  `json:"drift,omitempty"`               // which nodes differ in what they run, in words
	Schema   int       `json:"schema,omitempty"`              // that records are written in
	Dropped  int64     `json:"traffic_dropped,omitempty"`     // traffic rows that found no room
}

// Journal is what a node keeps in its own synced journal until Redis alone may keep it.
type Journal struct {
	Live       int       `json:"live"`
	Tombstones int       `json:"tombstones"`
	Bytes      int64     `json:"bytes"`
	Unpushed   time.Time `json:"oldest_unpushed,omitzero"`
	Pushed     int64     `json:"pushed_again"`
}

// Node is one node of several.
type Node struct {
	Name    string    `json:"name"`
	Version string    `json:"version"`
	Rules   string    `json:"rules"`
	Schema  int       `json:"schema"`
	Seen    time.Time `json:"seen"`
	Started time.Time `json:"started"`
}
