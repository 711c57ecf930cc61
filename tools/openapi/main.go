// Command openapi judges the OpenAPI document on its standard input.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

func main() {
	if err := judge(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "openapi:", err)
		os.Exit(1)
	}
}

func judge(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	doc, err := libopenapi.NewDocument(text)
	if err != nil {
		return err
	}
	v, errs := validator.NewValidator(doc)
	if len(errs) > 0 {
		return errs[0]
	}
	ok, problems := v.ValidateDocument()
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, p.Message, p.Reason)
		for _, s := range p.SchemaValidationErrors {
			fmt.Fprintln(os.Stderr, "  ", s.Reason)
		}
	}
	if !ok {
		return fmt.Errorf("the document is not OpenAPI %s: %d problems", doc.GetVersion(), len(problems))
	}
	return nil
}
