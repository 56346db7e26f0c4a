package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/rogpeppe/go-internal/testscript"
)

// status N COMMAND… runs a command that must end with exit status N.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// match GOLDEN FILE compares a file with a golden one, in which «…» is a
// regular expression.
func cmdMatch(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: match golden file")
	}
	want := strings.Split(ts.ReadFile(args[0]), "\n")
	got := strings.Split(ts.ReadFile(args[1]), "\n")
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || !goldenLine(want[i]).MatchString(got[i]) {
			ts.Fatalf("line %d differs.\n--- %s\n%s\n--- %s\n%s", i+1,
				args[0], strings.Join(want, "\n"), args[1], strings.Join(got, "\n"))
		}
	}
}

var goldenPart = regexp.MustCompile(`«([^»]*)»`)

func goldenLine(line string) *regexp.Regexp {
	var b strings.Builder
	at := 0
	for _, m := range goldenPart.FindAllStringSubmatchIndex(line, -1) {
		b.WriteString(regexp.QuoteMeta(line[at:m[0]]))
		b.WriteString("(?:" + line[m[2]:m[3]] + ")")
		at = m[1]
	}
	b.WriteString(regexp.QuoteMeta(line[at:]))
	return regexp.MustCompile("^" + b.String() + "$")
}

// json FILE PATH VALUE checks a value inside a JSON file: PATH is of names and
// indexes with dots, VALUE a regular expression.
func cmdJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json file path value")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	decoder.UseNumber()
	var value any
	ts.Check(decoder.Decode(&value))
	if _, err := decoder.Token(); err != io.EOF {
		ts.Fatalf("there is something behind the JSON")
	}
	for _, step := range strings.Split(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: %d elements", args[1], len(v))
			}
			value = v[i]
		default:
			ts.Fatalf("%s: nothing at %s", args[1], step)
		}
	}
	text := "null"
	if value != nil {
		text = fmt.Sprint(value)
	}
	if regexp.MustCompile("^(?:"+args[2]+")$").MatchString(text) == neg {
		ts.Fatalf("%s is %q", args[1], text)
	}
}

// mode FILE OCTAL checks a file's permissions.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); neg || got != args[1] {
		ts.Fatalf("%s has mode %s", args[0], got)
	}
}

// needs PROGRAM… fails in CI, where everything is installed, without a program.
// Elsewhere the script goes on to skip itself.
func cmdNeeds(ts *testscript.TestScript, neg bool, args []string) {
	for _, program := range args {
		if _, err := exec.LookPath(program); (err != nil || neg) && os.Getenv("CI") == "true" {
			ts.Fatalf("%s is not installed, and CI=true", program)
		}
	}
}

// mkcert KIND FILE makes a certificate file that "cert new" doesn't make.
func cmdMakeCert(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mkcert kind file")
	}
	data, err := makeCert(args[0])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o600))
}

func makeCert(kind string) ([]byte, error) {
	now := time.Now()
	day := 24 * time.Hour
	switch kind {
	case "expired":
		return pemOf(certtokentest.WithValidity(now.Add(-10*day), now.Add(-3*day)))
	case "future":
		return pemOf(certtokentest.WithValidity(now.Add(3*day), now.Add(10*day)))
	case "soon":
		return pemOf(certtokentest.WithValidity(now.Add(-day), now.Add(3*day)))
	case "hostile":
		return pemOf(certtokentest.WithSubject("a\x1b[31mred\u202ederutrevni"))
	case "chain":
		ca, err := certtokentest.MakeCertificate(certtokentest.AsCA(), certtokentest.WithSubject("root"))
		if err != nil {
			return nil, err
		}
		return pemOf(certtokentest.SignedBy(ca), certtokentest.WithSubject("leaf"))
	case "two":
		one, err := pemOf(certtokentest.WithSubject("one"))
		if err != nil {
			return nil, err
		}
		two, err := pemOf(certtokentest.WithSubject("two"))
		return append(one, two...), err
	case "negative":
		return negativeSerial()
	case "ec":
		return ecCertificate()
	}
	return nil, fmt.Errorf("unknown kind %s", kind)
}

func pemOf(opts ...certtokentest.CertOption) ([]byte, error) {
	cert, err := certtokentest.MakeCertificate(opts...)
	if err != nil {
		return nil, err
	}
	return selfsigned.EncodePEM(cert)
}

// negativeSerial is a pair whose certificate crypto/x509 refuses.
func negativeSerial() ([]byte, error) {
	cert, err := certtokentest.MakeCertificate(certtokentest.WithSubject("odd"))
	if err != nil {
		return nil, err
	}
	template := *cert.Leaf
	template.SerialNumber = big.NewInt(0x7f45_1234_5678_9abc)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, cert.Signer.Public(), cert.Signer)
	if err != nil {
		return nil, err
	}
	der[bytes.Index(der, template.SerialNumber.Bytes())] |= 0x80 // the first bit is the sign
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...), err
}

func ecCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "ec"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), nil
}

// served is a "certtoken serve" that a script has started.
type served struct {
	cmd  *exec.Cmd
	log  *growingLog
	done bool
}

// growingLog is what a process has written so far.
type growingLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *growingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *growingLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// serve ARGS… starts "certtoken serve --json" and puts what it prints into
// $URL, $ISSUER, $CA, $TRY, $GRAPH and $OBJECT, the first client's.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("use status for a serve that fails")
	}
	s := &served{log: new(growingLog)}
	s.cmd = exec.Command("certtoken", append([]string{"serve", "--json"}, args...)...)
	s.cmd.Dir = ts.MkAbs(".")
	s.cmd.Env = append(cleanEnviron(), "TMPDIR="+ts.MkAbs("tmp"), "TZ=UTC", "GOCOVERDIR="+ts.Getenv("GOCOVERDIR"))
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(s.cmd.Start())
	ts.Defer(func() { s.end(ts) })
	var info serveInfo
	if err := json.NewDecoder(out).Decode(&info); err != nil {
		ts.Fatalf("serve: %v\n%s", err, s.log)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
	ts.Setenv("URL", info.TokenURL)
	ts.Setenv("ISSUER", info.Issuer)
	ts.Setenv("CA", info.CAFile)
	ts.Setenv("TRY", info.Command)
	ts.Setenv("GRAPH", info.GraphURL)
	ts.Setenv("OBJECT", info.Applications[info.Clients[0]])
	lastServed.Store(ts, s)
}

// endserve interrupts the server that was started last; its log becomes the
// command's standard output.
func cmdEndServe(ts *testscript.TestScript, _ bool, _ []string) {
	s, ok := lastServed.Load(ts)
	if !ok {
		ts.Fatalf("nothing is being served")
	}
	s.(*served).end(ts)
	_, err := io.WriteString(ts.Stdout(), s.(*served).log.String())
	ts.Check(err)
}

// waitserve REGEXP waits until the log of the server that was started last has it: a client may
// have ended before the server has written down what it minded.
func cmdWaitServe(ts *testscript.TestScript, neg bool, args []string) {
	s, ok := lastServed.Load(ts)
	if neg || len(args) != 1 || !ok {
		ts.Fatalf("usage: waitserve regexp, after serve")
	}
	wanted := regexp.MustCompile(args[0])
	for begin := time.Now(); !wanted.MatchString(s.(*served).log.String()); time.Sleep(20 * time.Millisecond) {
		if time.Since(begin) > patience {
			ts.Fatalf("the log never had %s:\n%s", args[0], s.(*served).log)
		}
	}
}

func (s *served) end(ts *testscript.TestScript) {
	if s.done {
		return
	}
	s.done = true
	ts.Check(s.cmd.Process.Signal(os.Interrupt))
	if err := s.cmd.Wait(); err != nil {
		ts.Fatalf("serve: %v\n%s", err, s.log)
	}
}

// lastServed is the server that each script has started last.
var lastServed sync.Map
