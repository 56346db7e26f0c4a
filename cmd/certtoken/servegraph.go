package main

import (
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/pflag"
)

// graphFlags let the server answer as Microsoft Graph does where clients roll their keys.
type graphFlags struct {
	on          bool
	propagation duration
}

func (f *graphFlags) addTo(flags *pflag.FlagSet) {
	flags.BoolVar(&f.on, "graph", false,
		"be Microsoft Graph too, where clients read and roll their applications' keys (see rotate)")
	flags.Var(&f.propagation, "propagation", "with --graph, `DURATION` until it knows a new key everywhere")
}

// option is what the flags ask for, nil if nothing. Its clients may read their
// applications, which the real one lets them only with a permission.
func (f *graphFlags) option(issuer string, http bool, clients []servedClient) (certtokentest.Option, error) {
	switch {
	case !f.on && f.propagation != 0:
		return nil, failure.Usagef("--propagation goes with --graph")
	case !f.on:
		return nil, nil
	case issuer != "":
		return nil, failure.Usagef("--graph and --issuer exclude each other: Microsoft Graph goes with Entra ID")
	case http:
		return nil, failure.Usagef("--graph and --http exclude each other: Microsoft Graph is asked by https only")
	case f.propagation < 0:
		return nil, failure.Usagef("--propagation: give a duration that isn't negative, such as 2m")
	}
	const servers = 3 // which hear of a new key one after the other
	rules := certtokentest.GraphRules{Propagation: time.Duration(f.propagation), Servers: servers}
	for _, client := range clients {
		rules.Permitted = append(rules.Permitted, client.id)
	}
	return certtokentest.WithGraph(rules), nil
}

// applicationsOf are the object ids of the clients' applications.
func applicationsOf(clients []servedClient) map[string]string {
	ids := make(map[string]string)
	for _, client := range clients {
		ids[client.id] = certtokentest.ApplicationID(client.id)
	}
	return ids
}

// graphPath is where the server is Microsoft Graph.
const graphPath = "/v1.0"
