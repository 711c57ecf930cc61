package client

// Quiet is quiet, for tests that wait for the server to have spoken.
var Quiet = quiet
