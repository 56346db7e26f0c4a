package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
)

// nameLimited is ours with an http.Client whose transport allows 32 connections.
const nameLimited = "certtoken, a transport of 32 connections"

// rushTask says what a caller's process has to do.
type rushTask struct {
	Library string
	Keys    int
	Host    string
}

// outcome is what the callers saw.
type outcome struct {
	Failed int
	Errors map[string]int // an example of each kind
	Last   time.Duration  // until the last call had returned
	Sign   time.Duration  // one signature, all cores busy with others
	Peak   int64          // memory of the callers' process at its most, in bytes; 0: unknown
}

// callRush is the callers' process: one library, all keys at once.
func callRush(in *json.Decoder, out *json.Encoder) error {
	var task rushTask
	if err := in.Decode(&task); err != nil {
		return err
	}
	id, err := newIdentity()
	if err != nil {
		return err
	}
	get, done, err := rushClient(task, id)
	if err != nil {
		return err
	}
	defer done()
	result := outcome{Sign: signatureInParallel(id), Errors: make(map[string]int)}
	scopes := scopeNames(task.Keys)
	var mu sync.Mutex
	all := together(task.Keys, func(i int) error {
		err := get(context.Background(), scopes[i])
		if err != nil {
			mu.Lock()
			result.Errors[kindOf(err)]++
			mu.Unlock()
		}
		return err
	})
	result.Failed, result.Last, result.Peak = all.failed, all.wall, peakMemory()
	return out.Encode(result)
}

// kindOf is the innermost error, without what differs from call to call.
func kindOf(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return fmt.Sprintf("%.120s", err.Error())
}

// rushClient makes a library's client of a real endpoint, with the connections that it
// has by default.
func rushClient(task rushTask, id identity) (get acquire, done func(), err error) {
	done = func() {}
	switch task.Library {
	case nameOurs, nameLimited:
		var opts []certtoken.Option
		if task.Library == nameLimited {
			transport := http.DefaultTransport.(*http.Transport).Clone()
			transport.MaxConnsPerHost = 32
			opts = append(opts, certtoken.WithHTTPClient(&http.Client{Transport: transport}))
		}
		client, err := certtoken.NewClient(
			certtoken.Entra(tenant, certtoken.WithHost(task.Host)),
			clientID,
			id.cert,
			opts...)
		if err != nil {
			return nil, nil, err
		}
		return acquireOurs(client), func() { _ = client.Close() }, nil
	case nameMSAL:
		get, err = msalAt("https://"+task.Host+"/"+tenant, id.cert, confidential.WithInstanceDiscovery(false))
		return get, done, err
	case nameOAuth2:
		return func(_ context.Context, scope string) error {
			hand := &byHand{
				http: http.DefaultClient, url: "https://" + task.Host + "/" + tenant + "/oauth2/v2.0/token",
				key: id.key(), x5t: thumbprint(id.cert.Leaf), scope: scope,
			}
			_, err := oauth2.ReuseTokenSource(nil, hand).Token()
			return err
		}, done, nil
	}
	return nil, nil, fmt.Errorf("no library %q", task.Library)
}

// signatureInParallel is how long one signature takes where all cores sign.
func signatureInParallel(id identity) time.Duration {
	const each = 100
	assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
	var wg sync.WaitGroup
	start := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for range each {
				if _, err := assertion.Sign(context.Background(), id.cert); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start) / each
}
