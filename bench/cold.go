package main

import (
	"context"
	"fmt"

	"golang.org/x/oauth2"
)

// measureCold acquires tokens that aren't in the cache, each for a scope of its
// own so that no cache can help.
func measureCold(cfg settings, id identity) (map[string]samples, error) {
	e := newEndpoint()
	client, err := newOurs(e, id.cert)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	msal, err := newMSAL(e, id.cert)
	if err != nil {
		return nil, err
	}
	azid, err := newAzidentity(e, id.cert)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	serial := 0
	next := func() string { serial++; return fmt.Sprintf("api://cold-%08d/.default", serial) }
	by := func(get acquire) func(int) {
		return func(int) {
			if err := get(ctx, next()); err != nil {
				panic(err)
			}
		}
	}
	hand := newByHand(e, id, "")
	cfg.threads = true // ours works behind its callers
	return compare(cfg, 1,
		subject{subjectHand, func(int) {
			hand.scope = next()
			if _, err := hand.Token(); err != nil {
				panic(err)
			}
		}},
		subject{nameOurs, by(acquireOurs(client))},
		subject{nameMSAL, by(msal)},
		subject{nameAzidentity, by(azid)},
		subject{nameOAuth2, func(int) {
			if _, err := oauth2.ReuseTokenSource(nil, hand).Token(); err != nil {
				panic(err)
			}
		}},
	), nil
}

func coldChecks(cold map[string]samples) []check {
	return []check{atMost(
		"cold exchange : a POST by hand with one signature",
		cold[nameOurs].over(cold[subjectHand]),
		1.1,
		" ×",
	)}
}
