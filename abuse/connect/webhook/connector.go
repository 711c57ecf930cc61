package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"postern/abuse"
	"postern/abuse/measure"
)

// Connector carries measures as events. The receiver answers each with JSON: {"in_force": true}
// or false is its own read-back, and what counts; anything else leaves it open.
type Connector struct {
	Label    string
	Sender   *Sender
	Levels   []abuse.Level // nil = M1 to M7
	Sessions bool
	Must     bool
}

var _ measure.Connector = (*Connector)(nil)

// sameOrder is how long, in seconds, an order tried again counts as the same event.
const sameOrder = 600

// ErrAnswer is an answer that does not say whether the measure is in force.
var ErrAnswer = errors.New(`the receiver did not answer {"in_force": true} or false`)

// Requested is the data of an event.
type Requested struct {
	Measure string `json:"measure"` // its ID: the same request is the same measure
	Case    string `json:"case,omitempty"`
	Account string `json:"account,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Level   string `json:"level"` // "M3"
	Action  string `json:"action"`
	Reason  string `json:"reason,omitempty"`
	TTL     int64  `json:"ttl,omitempty"` // seconds; 0 = until it is undone
	Handle  string `json:"handle,omitempty"`
}

// Name implements measure.Connector.
func (c *Connector) Name() string { return c.Label }

// Capabilities implements measure.Connector.
func (c *Connector) Capabilities() measure.Capabilities {
	levels := c.Levels
	if levels == nil {
		levels = []abuse.Level{abuse.M1, abuse.M2, abuse.M3, abuse.M4, abuse.M5, abuse.M6, abuse.M7}
	}
	return measure.Capabilities{Levels: levels, Domains: true, Sessions: c.Sessions, Required: c.Must}
}

type answer struct {
	InForce *bool  `json:"in_force"`
	Handle  string `json:"handle"`
}

func (c *Connector) ask(ctx context.Context, what string, m measure.Measure, handle string) (answer, error) {
	data := Requested{Measure: m.ID, Case: m.Case, Level: m.Level.String(), Action: m.Level.Word(), Reason: m.Reason, Handle: handle}
	if abuse.Scope(m.Target) == "domain" {
		data.Domain = m.Target[1:]
	} else {
		data.Account = m.Target
	}
	now := c.Sender.Now()
	if !m.Until.IsZero() {
		data.TTL = max(1, int64(m.Until.Sub(now).Seconds()))
	}
	// A question is new each time; an order tried again is the same one, but not one that is
	// given anew because somebody lifted the measure by hand.
	id := fmt.Sprintf("%s.%s.%d", m.ID, what, now.Unix()/sameOrder)
	if what == "verify" {
		id = fmt.Sprintf("%s.%d", id, now.UnixNano())
	}
	var a answer
	text, err := c.Sender.Send(ctx, id, Event{Type: "abuse.measure." + what, Timestamp: now.UTC(), Data: data})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, ErrAnswer
	}
	return a, nil
}

// Apply implements measure.Connector.
func (c *Connector) Apply(ctx context.Context, m measure.Measure) (string, error) {
	a, err := c.ask(ctx, "requested", m, "")
	if errors.Is(err, ErrAnswer) { // the order arrived; the read-back decides
		err = nil
	}
	return a.Handle, err
}

// Verify implements measure.Connector.
func (c *Connector) Verify(ctx context.Context, m measure.Measure, handle string) (bool, error) {
	a, err := c.ask(ctx, "verify", m, handle)
	switch {
	case err != nil:
		return false, err
	case a.InForce == nil:
		return false, ErrAnswer
	}
	return *a.InForce, nil
}

// Undo implements measure.Connector.
func (c *Connector) Undo(ctx context.Context, m measure.Measure, handle string) error {
	_, err := c.ask(ctx, "removed", m, handle)
	if errors.Is(err, ErrAnswer) {
		err = nil
	}
	return err
}

// KillSessions implements measure.Connector.
func (c *Connector) KillSessions(ctx context.Context, account string) error {
	now := c.Sender.Now()
	_, err := c.Sender.Send(ctx, fmt.Sprintf("kill.%s.%d", account, now.UnixNano()), Event{Type: "abuse.sessions.kill", Timestamp: now.UTC(), Data: map[string]string{"account": account}})
	return err
}
