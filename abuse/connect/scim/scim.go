// Package scim switches accounts off through SCIM 2.0 (RFC 7643, RFC 7644): active=false takes
// everything away that hangs on the sign-in, so it carries M5 and more. It also shows how small
// a connector is.
package scim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"postern/abuse"
	"postern/abuse/measure"
)

// Bounds of a call.
const (
	Timeout = 15 * time.Second
	MaxBody = 1 << 20
)

// Errors of a provider.
var (
	ErrUnknown  = errors.New("the SCIM provider knows no such user")
	ErrSeveral  = errors.New("the SCIM provider knows several users of that name")
	ErrAnswer   = errors.New("the SCIM provider's answer cannot be used")
	ErrConflict = errors.New("the user was changed at the SCIM provider in the meantime")
)

// Connector is one SCIM service provider.
type Connector struct {
	Label string
	Base  string // "https://idp.example/scim/v2"
	Token func() (string, error)
	HTTP  *http.Client
	Must  bool // a measure is not active before the provider proved it
}

var _ measure.Connector = (*Connector)(nil)

// handle is the state before, for Undo.
type handle struct {
	ID     string `json:"id"`
	Active bool   `json:"active"`
}

// user is what is read of a User resource.
type user struct {
	ID     string `json:"id"`
	Active flag   `json:"active"`
	Meta   struct {
		Version string `json:"version"`
	} `json:"meta"`
	etag string
	raw  map[string]json.RawMessage
}

// flag is a boolean that some providers write as text.
type flag struct{ value, said bool }

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), `"`)) {
	case "true":
		*f = flag{true, true}
	case "false":
		*f = flag{false, true}
	case "null":
	default:
		return fmt.Errorf("active is %.20q: %w", b, ErrAnswer)
	}
	return nil
}

// Name implements measure.Connector.
func (c *Connector) Name() string { return c.Label }

// Capabilities implements measure.Connector.
func (c *Connector) Capabilities() measure.Capabilities {
	return measure.Capabilities{Levels: []abuse.Level{abuse.M5, abuse.M7}, Required: c.Must}
}

func (c *Connector) do(ctx context.Context, method, path, match string, body any) (int, []byte, http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var r io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, nil, err
		}
		r = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.Base, "/")+path, r)
	if err != nil {
		return 0, nil, nil, err
	}
	token, err := c.Token()
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/scim+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	if match != "" {
		req.Header.Set("If-Match", match)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err == nil && len(text) > MaxBody {
		err = ErrAnswer
	}
	return res.StatusCode, text, res.Header, err
}

// failed makes an error of an answer that is none of those expected.
func failed(status int, text []byte) error {
	switch status {
	case http.StatusPreconditionFailed, http.StatusConflict:
		return ErrConflict
	case http.StatusNotFound:
		return ErrUnknown
	}
	var e struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(text, &e) // a status alone is an answer too
	return fmt.Errorf("status %d %.200q: %w", status, e.Detail, ErrAnswer)
}

func readUser(text []byte, h http.Header) (user, error) {
	var u user
	if err := errors.Join(json.Unmarshal(text, &u), json.Unmarshal(text, &u.raw)); err != nil || u.ID == "" {
		return u, fmt.Errorf("%w: %w", ErrAnswer, errors.Join(err, errors.New("no user")))
	}
	u.etag = h.Get("ETag")
	if u.etag == "" {
		u.etag = u.Meta.Version
	}
	return u, nil
}

func (c *Connector) get(ctx context.Context, id string) (user, error) {
	status, text, h, err := c.do(ctx, http.MethodGet, "/Users/"+url.PathEscape(id), "", nil)
	switch {
	case err != nil:
		return user{}, err
	case status != http.StatusOK:
		return user{}, failed(status, text)
	}
	return readUser(text, h)
}

// find looks an account up by its userName, which is compared without regard to case.
func (c *Connector) find(ctx context.Context, account string) (user, error) {
	name, err := json.Marshal(account) // a filter quotes as JSON does
	if err != nil {
		return user{}, err
	}
	status, text, _, err := c.do(ctx, http.MethodGet, "/Users?count=2&filter="+url.QueryEscape("userName eq "+string(name)), "", nil)
	switch {
	case err != nil:
		return user{}, err
	case status != http.StatusOK:
		return user{}, failed(status, text)
	}
	var list struct {
		Resources []struct {
			ID       string `json:"id"`
			UserName string `json:"userName"`
		} `json:"Resources"`
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return user{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	id := ""
	for _, r := range list.Resources { // some providers ignore the filter
		if strings.EqualFold(r.UserName, account) {
			if id != "" {
				return user{}, ErrSeveral
			}
			id = r.ID
		}
	}
	if id == "" {
		return user{}, ErrUnknown
	}
	return c.get(ctx, id)
}

// set switches a user, by PATCH where the provider has it and by PUT of the whole resource else.
func (c *Connector) set(ctx context.Context, u user, active bool) error {
	if u.Active.said && u.Active.value == active {
		return nil
	}
	patch := map[string]any{
		"schemas":    []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"},
		"Operations": []map[string]any{{"op": "replace", "path": "active", "value": active}},
	}
	path := "/Users/" + url.PathEscape(u.ID)
	status, text, _, err := c.do(ctx, http.MethodPatch, path, u.etag, patch)
	if err != nil {
		return err
	}
	if status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed {
		value, err := json.Marshal(active)
		if err != nil {
			return err
		}
		u.raw["active"] = value
		delete(u.raw, "meta")
		if status, text, _, err = c.do(ctx, http.MethodPut, path, u.etag, u.raw); err != nil {
			return err
		}
	}
	if status != http.StatusOK && status != http.StatusNoContent {
		return failed(status, text)
	}
	return nil
}

// Apply implements measure.Connector.
func (c *Connector) Apply(ctx context.Context, m measure.Measure) (string, error) {
	u, err := c.find(ctx, m.Target)
	if err != nil {
		return "", err
	}
	h, err := json.Marshal(handle{u.ID, u.Active.value || !u.Active.said})
	if err != nil {
		return "", err
	}
	return string(h), c.set(ctx, u, false)
}

// of finds the user again, also where Apply's answer was lost.
func (c *Connector) of(ctx context.Context, m measure.Measure, kept string) (u user, h handle, err error) {
	if kept == "" {
		u, err = c.find(ctx, m.Target)
		return u, handle{u.ID, true}, err
	}
	if err := json.Unmarshal([]byte(kept), &h); err != nil {
		return u, h, fmt.Errorf("the handle of %s: %w", m.ID, err)
	}
	u, err = c.get(ctx, h.ID)
	return u, h, err
}

// Verify implements measure.Connector. A user who is gone cannot sign in.
func (c *Connector) Verify(ctx context.Context, m measure.Measure, kept string) (bool, error) {
	u, _, err := c.of(ctx, m, kept)
	switch {
	case errors.Is(err, ErrUnknown) && kept != "":
		return true, nil
	case err != nil:
		return false, err
	}
	return u.Active.said && !u.Active.value, nil
}

// Undo implements measure.Connector.
func (c *Connector) Undo(ctx context.Context, m measure.Measure, kept string) error {
	u, h, err := c.of(ctx, m, kept)
	if err != nil || !h.Active {
		return err
	}
	return c.set(ctx, u, true)
}

// KillSessions implements measure.Connector; SCIM has no word for it.
func (c *Connector) KillSessions(context.Context, string) error { return nil }
