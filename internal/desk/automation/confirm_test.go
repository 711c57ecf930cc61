package automation_test

import "testing/fstest"

// confirm stands for the page that asks for the password again.
var confirm = fstest.MapFS{"html/confirm.html": {Data: []byte(`{{define "content"}}<p>who are you?</p>{{end}}`)}}
