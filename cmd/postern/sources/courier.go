package sources

import (
	"context"
	"fmt"
	"net/http"

	"postern/abuse/external/aws"
	"postern/internal/config/desk"
)

// courier brings reports to AWS, where that is configured. What it needs is looked at now, so
// that a fault is seen at the start and not with the first report.
func (d *Desk) courier(c desk.AWS) error {
	if !c.Used() {
		return nil
	}
	file := &aws.File{Path: c.RangesFile}
	if _, err := file.Ranges(); err != nil {
		return fmt.Errorf("abuse.external.aws.ranges_file: %w", err)
	}
	who := func() (aws.Credentials, error) { return aws.ReadCredentials(c.Credentials) }
	if _, err := who(); err != nil {
		return fmt.Errorf("abuse.external.aws.credentials_file: %w", err)
	}
	client := registryClient([]string{c.Endpoint}, nil, nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	d.AWS = &aws.Courier{
		Home: d.p.Home, File: file, Endpoint: c.Endpoint, Region: c.Region, Credentials: who, Client: client,
		Note: d.p.Cases.Note, Audit: d.p.Audit, Now: d.p.Now, Log: d.p.Log,
	}
	d.Contacts.Calls = d.AWS.Contact
	return nil
}

func (d *Desk) tendCalls(ctx context.Context) error {
	if d.AWS == nil {
		return nil
	}
	return d.AWS.Tend(ctx)
}
