package main

import "time"

// patience is how long a test waits for what another process or goroutine is about to do. It
// only ends a test that hangs: a machine on which much else goes on may take a minute for what
// takes a moment elsewhere.
const patience = 5 * time.Minute
