package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"

	"github.com/certtoken/certtoken"
)

// agents is what a hit costs among the agent identities of one blueprint. MSAL Go has the
// first leg alone, a token for the agent's path: the second is for its callers to write,
// with a client for each agent.
type agents struct {
	size int
	hits map[string]samples
}

const exchangeScope = "api://AzureADTokenExchange/.default"

func agentName(i int) string { return fmt.Sprintf("55555555-5555-4555-8555-%012d", i) }

func measureAgents(cfg settings, id identity) (agents, error) {
	r := agents{size: cfg.agents}
	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, id.free,
		certtoken.WithHTTPClient(&http.Client{Transport: newEndpoint()}))
	if err != nil {
		return r, err
	}
	defer client.Close()
	credential := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) { return freeAssertion, nil })
	msal, err := confidential.New("https://login.microsoftonline.com/"+tenant, clientID, credential,
		confidential.WithHTTPClient(newEndpoint().client()))
	if err != nil {
		return r, err
	}
	ctx, names := context.Background(), make([]string, cfg.agents)
	for i := range names {
		names[i] = agentName(i)
	}
	ours := func(i int) error {
		_, err := client.Acquire(ctx, certtoken.Request{Agent: names[i], Scopes: oneScope})
		return err
	}
	theirs := func(i int) error {
		_, err := msal.AcquireTokenByCredential(ctx, []string{exchangeScope}, confidential.WithFMIPath(names[i]))
		return err
	}
	subjects := make([]subject, 0, 2)
	for name, get := range map[string]func(int) error{nameOurs: ours, nameMSAL: theirs} {
		for i := range names {
			if err := get(i); err != nil {
				return r, err
			}
		}
		subjects = append(subjects, subject{name, func(i int) {
			if err := get(spread(i, len(names))); err != nil {
				panic(err)
			}
		}})
	}
	r.hits = compare(cfg, 1, subjects...)
	return r, nil
}

func (a agents) table(line func(string, ...any)) {
	if a.size == 0 {
		return
	}
	line("| a hit among %s agents of one blueprint | |", thousands(int64(a.size)))
	line("|---|---|")
	line("| **certtoken**, the agent's token | %s |", cell(a.hits[nameOurs]))
	line("| MSAL Go, the first leg alone (`WithFMIPath`) | %s |", cell(a.hits[nameMSAL]))
	line("")
	line("MSAL Go leaves the second leg to its callers, and looks through a list.")
	line("")
}
