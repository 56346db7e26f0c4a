package main

import "time"

// settings say how much time a run takes.
type settings struct {
	rounds   int           // of which the median counts
	piece    time.Duration // of one measurement: shorter than a time slice of a busy machine
	pieces   int           // of a round, of which the fastest counts
	least    int           // operations of a measurement, where they differ
	sizes    []int         // of a cache
	peers    int           // the largest cache for the peers, whose filling is quadratic
	window   time.Duration // of looking at callers while a renewal is under way
	rushes   []int         // keys of a rush on cold keys
	renewals int           // tokens that are due together
	starts   int           // of a program
	scales   []int         // tenants, users, agents and so on in a cache
	agents   int           // in MSAL's cache, whose filling is quadratic
	huge     int           // users with very large tokens
	fleet    fleetTime
	budget   budget

	threads   bool         // an operation works in other goroutines too, whose time counts
	disturbed *disturbance // takes what others had of the processor; nil: it isn't measured
}

// fleetTime is a fleet of processes that share a Redis, and how long that is gone.
type fleetTime struct {
	processes   int
	all, outage time.Duration
}

var (
	thorough = settings{
		rounds: 6, piece: 1500 * time.Microsecond, pieces: 24,
		sizes: []int{1, 10, 100, 1_000, 10_000, 100_000}, peers: 10_000,
		window: 3500 * time.Millisecond,
		rushes: []int{2_500, 10_000, 25_000},
		scales: []int{10_000, 100_000, 1_000_000}, starts: 40, renewals: 100_000, agents: 2_000, huge: 10_000,
		fleet: fleetTime{processes: 50, all: 90 * time.Second, outage: 30 * time.Second},
	}
	quick = settings{
		rounds: 3, piece: 1500 * time.Microsecond, pieces: 8,
		sizes: []int{1, 10, 100, 1_000, 10_000}, peers: 1_000,
		window: 2500 * time.Millisecond,
		rushes: []int{500},
		scales: []int{10_000}, starts: 7, renewals: 10_000, agents: 300, huge: 2_000,
		fleet: fleetTime{processes: 4, all: 12 * time.Second, outage: 3 * time.Second},
	}
)

func settingsFor(fast bool) settings {
	if fast {
		return quick
	}
	return thorough
}
