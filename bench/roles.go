package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// roles are what a child does. It reads its task as JSON from the input, and writes
// what it has to tell as JSON to the output.
var roles = map[string]func(in *json.Decoder, out *json.Encoder) error{
	"endpoint": serveRush,
	"caller":   callRush,
}

// childMain is the whole of a child's life. It returns false where this process is none.
func childMain() bool {
	role, isChild := roles[os.Getenv(roleEnv)]
	if !isChild {
		return false
	}
	if err := role(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", os.Getenv(roleEnv), err)
		os.Exit(1)
	}
	return true
}
