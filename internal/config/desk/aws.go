package desk

import (
	"path/filepath"
	"regexp"
	"strings"

	"postern/internal/strict"
)

// AWS is how reports about sources in its networks go there.
type AWS struct {
	RangesFile  string `yaml:"ranges_file" json:"ranges_file,omitempty" jsonschema:"description=its networks\\, as AWS publishes them (ip-ranges.json); read again when it was replaced; empty: such sources are told of by mail"`
	Credentials string `yaml:"credentials_file" json:"credentials_file,omitempty" jsonschema:"description=access key in the form of the tools of AWS\\, profile default; read at each call"`
	Endpoint    string `yaml:"endpoint" json:"endpoint,omitempty" jsonschema:"description=web address of the call; {region} stands for the region of the network"`
	Region      string `yaml:"region" json:"region,omitempty" jsonschema:"description=where reports go about networks that belong to no region"`
	Test        bool   `yaml:"test" json:"test,omitempty" jsonschema:"description=mark reports as tests (lifecycle:test)"`
}

func defaultAWS() AWS {
	return AWS{Endpoint: "https://abuse.{region}.amazonaws.com/v1/abuse", Region: "us-east-1"}
}

// Used reports whether such reports go out.
func (a AWS) Used() bool { return a.RangesFile != "" }

var awsRegion = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{2,20}){1,3}-[0-9]{1,2}$`)

func (a AWS) validate(d *strict.Document) {
	const at = "abuse.external.aws."
	if a.RangesFile != "" && !filepath.IsAbs(a.RangesFile) {
		d.Fail(at+"ranges_file", "%.100q is no absolute path", a.RangesFile)
	}
	if a.Credentials != "" && !filepath.IsAbs(a.Credentials) {
		d.Fail(at+"credentials_file", "%.100q is no absolute path", a.Credentials)
	}
	if (a.RangesFile == "") != (a.Credentials == "") {
		d.Fail("abuse.external.aws", "it needs ranges_file and credentials_file: calls are signed")
	}
	if !awsRegion.MatchString(a.Region) {
		d.Fail(at+"region", "%.40q is no name of a region, as us-east-1 is", a.Region)
	}
	webAddress(d, at+"endpoint", strings.ReplaceAll(a.Endpoint, "{region}", "us-east-1"))
}
