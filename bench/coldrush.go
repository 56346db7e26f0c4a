package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
)

// A rush on cold keys: so many goroutines ask at the same moment, each for a scope that
// nobody has asked for before. Unlike everything else here it has real connections: the
// token endpoint is a process of its own with TLS on loopback, and so are the callers,
// one process for each library, so that none of them inherits the connections, the
// memory or the goroutines of another.

// nameLimited is ours with an http.Client whose transport allows 32 connections.
const nameLimited = "certtoken, a transport of 32 connections"

// coldRush is how one library got through.
type coldRush struct {
	library    string
	http2      bool
	keys       int
	outcome    outcome
	sight      sight
	signatures time.Duration // what as many signatures take, on all cores, with nothing else
}

// sight is what the endpoint saw.
type sight struct {
	Requests  int64 // for a token
	Others    int64 // for anything else
	Opened    int64 // connections
	AtOnce    int64 // connections at the peak
	Handshake int64 // connections that ended in their handshake
}

// outcome is what the callers saw.
type outcome struct {
	Failed int
	Errors map[string]int // an example of each kind
	Last   time.Duration  // until the last call had returned
	Sign   time.Duration  // one signature, all cores busy with others
	Peak   int64          // memory of the callers' process at its most, in bytes; 0: unknown
}

// rushTask says what a caller's process has to do.
type rushTask struct {
	Library string
	Keys    int
	Host    string
}

// peersRush is the largest rush for the others: with 10,000 keys most of their calls fail,
// after minutes.
const peersRush = 10_000

// rushLibraries are those that take part.
var rushLibraries = []string{nameOurs, nameLimited, nameMSAL, nameOAuth2}

// rushRow is a library, a number of keys and a protocol.
type rushRow struct {
	library string
	keys    int
	http2   bool
}

// manyKeys is where most calls of the others fail, after minutes.
const manyKeys = 10_000

// rushRows are the rows in the order of the tables: those of ours and the small ones of
// the others, or the large ones of the others, which are measured last.
func rushRows(cfg settings, largeOfOthers bool) (rows []rushRow) {
	for _, keys := range cfg.rushes {
		for _, http2 := range []bool{false, true} {
			for _, library := range rushLibraries {
				isOurs := library == nameOurs || library == nameLimited
				if keys > peersRush && library != nameOurs || largeOfOthers == (isOurs || keys < manyKeys) {
					continue
				}
				rows = append(rows, rushRow{library, keys, http2})
			}
		}
	}
	return rows
}

// rushLimit is when a row is ended.
const rushLimit = 4 * time.Minute

// takes is about how long a row takes, with a millisecond for a signature, or with calls
// that fail after half a minute.
func (r rushRow) takes() time.Duration {
	if r.keys >= manyKeys && r.library != nameOurs && r.library != nameLimited {
		return time.Minute
	}
	return time.Duration(r.keys) * time.Millisecond
}

// measureColdRush lets libraries through, one after the other.
func measureColdRush(cfg settings, progress func(string), rows []rushRow) ([]coldRush, error) {
	dir, err := os.MkdirTemp("", "certtoken-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var results []coldRush
	for _, row := range rows {
		what := fmt.Sprintf("a rush on %d cold keys, %s, %s", row.keys, protocol(row.http2), row.library)
		if !cfg.budget.allows(what, row.takes()) {
			continue
		}
		progress(what)
		r, err := rushOnce(row, cfg.budget.left(rushLimit), filepath.Join(dir, "roots.pem"))
		switch {
		case errors.Is(err, errTooLong):
			cfg.budget.omit(fmt.Sprintf("%s: %v", what, err))
		case err != nil:
			return nil, fmt.Errorf("%s: %w", row.library, err)
		default:
			results = append(results, r)
		}
	}
	return results, nil
}

// errTooLong ends a row that isn't through when its time is over.
var errTooLong = errors.New("ended, because it took too long")

// byTable sorts rows as the tables have them.
func byTable(a, b coldRush) int {
	order := func(r coldRush) int {
		at := r.keys*2*len(rushLibraries) + slices.Index(rushLibraries, r.library)
		if r.http2 {
			at += len(rushLibraries)
		}
		return at
	}
	return order(a) - order(b)
}

// rushOnce has a new endpoint and a new process of callers. The callers' process trusts
// the endpoint through SSL_CERT_FILE, so that each library uses the connections that it
// uses by default.
func rushOnce(row rushRow, limit time.Duration, roots string) (coldRush, error) {
	r := coldRush{library: row.library, http2: row.http2, keys: row.keys}
	server, err := startChild("endpoint", row.http2)
	if err != nil {
		return r, err
	}
	var at struct{ Host, Certificate string }
	if err := server.hear(&at); err != nil {
		return r, errors.Join(err, server.end(nil))
	}
	err = os.WriteFile(roots, []byte(at.Certificate), 0o600)
	if err == nil {
		err = callersOnce(&r, limit, at.Host, roots)
	}
	if err := errors.Join(err, server.end(&r.sight)); err != nil {
		return r, err
	}
	r.signatures = r.outcome.Sign * time.Duration(row.keys) / time.Duration(runtime.GOMAXPROCS(0))
	return r, nil
}

func callersOnce(r *coldRush, limit time.Duration, host, roots string) error {
	callers, err := startChild("caller", rushTask{Library: r.library, Keys: r.keys, Host: host}, "SSL_CERT_FILE="+roots)
	if err != nil {
		return err
	}
	var late atomic.Bool
	timer := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = callers.cmd.Process.Kill() // an error means that it has ended
	})
	defer timer.Stop()
	err = callers.end(&r.outcome)
	if late.Load() {
		return errTooLong
	}
	return err
}

// serveRush is the endpoint's process. It ends with its input.
func serveRush(in *json.Decoder, out *json.Encoder) error {
	var http2 bool
	if err := in.Decode(&http2); err != nil {
		return err
	}
	certificate, err := newServerCertificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	seen := &watcher{grants: newEndpoint(), open: make(map[net.Conn]bool)}
	server := &http.Server{
		Handler:   seen,
		ConnState: seen.state,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Protocols: new(http.Protocols),
		ErrorLog:  log.New(io.Discard, "", 0), // a handshake that a client gave up is counted
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(http2)
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(listener, "", "") }()
	if err := out.Encode(map[string]string{
		"Host":        listener.Addr().String(),
		"Certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})),
	}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.MultiReader(in.Buffered(), os.Stdin)) // until the input ends
	err = server.Close()
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return errors.Join(err, out.Encode(seen.sight()))
}

// watcher counts connections and requests, and grants whatever is asked for.
type watcher struct {
	grants   *endpoint
	requests atomic.Int64
	others   atomic.Int64

	mu     sync.Mutex        // guards the rest
	open   map[net.Conn]bool // whether a request came on it
	counts sight
}

func (w *watcher) ServeHTTP(resp http.ResponseWriter, req *http.Request) {
	body := ""
	if req.Method == http.MethodGet {
		w.others.Add(1)
		body = discovery(req.Host, req.URL.Path)
	} else {
		_, _ = io.Copy(io.Discard, req.Body)
		w.requests.Add(1)
		body = w.grants.token()
	}
	resp.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(resp, body)
}

func (w *watcher) state(conn net.Conn, state http.ConnState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch state {
	case http.StateNew:
		w.open[conn] = false
		w.counts.Opened++
		w.counts.AtOnce = max(w.counts.AtOnce, int64(len(w.open)))
	case http.StateActive:
		w.open[conn] = true
	case http.StateClosed, http.StateHijacked:
		if used, known := w.open[conn]; known && !used {
			w.counts.Handshake++
		}
		delete(w.open, conn)
	}
}

func (w *watcher) sight() sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.counts
	s.Requests, s.Others = w.requests.Load(), w.others.Load()
	return s
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

func protocol(http2 bool) string {
	if http2 {
		return "HTTP/2"
	}
	return "HTTP/1.1"
}
