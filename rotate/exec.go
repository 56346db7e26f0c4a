package rotate

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/inside"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/jwks"
)

const (
	execOutput = 64 << 10        // bytes of a program's standard output
	execErrors = 4 << 10         // bytes that are kept of its standard error
	execLinger = 2 * time.Second // after the program's end, for what it has started and that holds its output

	execUnchanged   = 2 // the status by which a program says that it changed nothing
	execUnsupported = 3 // the status by which it says that it doesn't know the action
)

// Exec registers keys by a program of yours. It is started directly, without a shell, once for
// each action, with one JSON object on its standard input:
//
//	{
//	  "version": 1,
//	  "action": "add",            // or "remove" or "find"
//	  "client_id": "…",
//	  "key_id": "…",              // to remove
//	  "thumbprint": "…",          // SHA-256 in hex; of a key alone by RFC 7638
//	  "sha1": "…", "subject": "…", "not_before": "…", "not_after": "…",
//	  "certificate": "-----BEGIN CERTIFICATE-----…",
//	  "jwk": {…}                  // the public key, with its kid
//	}
//
// What there isn't is left out. The action is in the variable CERTTOKEN_ROTATE_ACTION, the key
// id in CERTTOKEN_ROTATE_KEY_ID, and the thumbprint in CERTTOKEN_ROTATE_THUMBPRINT too. The
// program is given no private key and no token.
//
// To "add" it registers the key and writes {"key_id": "…"}; without an answer the thumbprint is
// the id. To "remove" it removes the key with this id, and a key that isn't there is no error.
// To "find" it writes {"key_ids": […]}; a program that can't find keys ends with status 3. Status
// 0 is success. Status 2 says that nothing was changed. After any other the action is repeated.
// Its standard error is the text of the error, up to 1 KiB. Its standard output has 64 KiB at most.
// What it has started ends with it, on Unix.
func Exec(program string, args ...string) Registrar {
	return ExecOptions{}.Registrar(program, args...)
}

// ExecOptions change what [Exec] does.
type ExecOptions struct {
	Dir   string        // the program's folder; default this process's
	Env   []string      // the program's environment, as of [os.Environ]; nil is this process's
	Limit time.Duration // for one action; default a minute, at most 110 seconds
}

// Registrar is the function [Exec] with these options.
func (o ExecOptions) Registrar(program string, args ...string) Registrar {
	if o.Limit == 0 {
		o.Limit = time.Minute
	}
	return &command{options: o, program: program, args: args}
}

// command is the registrar. Its environment and arguments may hold secrets, so neither a verb nor
// an encoder shows them.
type command struct {
	options ExecOptions
	program string
	args    []string
}

var _ Finder = (*command)(nil)

func (c *command) validate() error {
	if c.program == "" {
		return errors.New("exec: no program given")
	}
	if limit := c.options.Limit; limit < 0 || limit > askLimit-5*time.Second {
		return fmt.Errorf("exec: the limit %v is not within 0 and %v", limit, askLimit-5*time.Second)
	}
	return nil
}

// String names the program.
func (c *command) String() string { return "exec:" + c.program }

// Format prints c as String does, whatever the verb.
func (c *command) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// order is what the program reads.
type order struct {
	Version     int             `json:"version"`
	Action      string          `json:"action"`
	ClientID    string          `json:"client_id,omitempty"`
	KeyID       string          `json:"key_id,omitempty"`
	Thumbprint  string          `json:"thumbprint"`
	SHA1        string          `json:"sha1,omitempty"`
	Subject     string          `json:"subject,omitempty"`
	NotBefore   time.Time       `json:"not_before,omitzero"`
	NotAfter    time.Time       `json:"not_after,omitzero"`
	Certificate string          `json:"certificate,omitempty"`
	JWK         json.RawMessage `json:"jwk,omitempty"`
}

// report is what the program writes.
type report struct {
	KeyID  string   `json:"key_id"`
	KeyIDs []string `json:"key_ids"`
}

// Add has the program register a key.
func (c *command) Add(ctx context.Context, key *certtoken.Certificate, as Identity) (string, error) {
	o, err := orderOf("add", key, as)
	if err != nil {
		return "", err
	}
	r, err := c.run(ctx, o)
	if err == nil && r.KeyID == "" {
		r.KeyID = o.Thumbprint
	}
	return r.KeyID, err
}

// Remove has the program remove a key.
func (c *command) Remove(ctx context.Context, key Key, as Identity) error {
	public, err := key.public()
	if err != nil {
		return err
	}
	o, err := orderOf("remove", public, as)
	if err != nil {
		return err
	}
	o.KeyID = key.ID
	_, err = c.run(ctx, o)
	return err
}

// Find asks the program for the ids of a key.
func (c *command) Find(ctx context.Context, key *certtoken.Certificate, as Identity) ([]string, error) {
	o, err := orderOf("find", key, as)
	if err != nil {
		return nil, err
	}
	r, err := c.run(ctx, o)
	return r.KeyIDs, err
}

func orderOf(action string, key *certtoken.Certificate, as Identity) (order, error) {
	about, err := keyOf(key)
	if err != nil {
		return order{}, err
	}
	o := order{
		Version: 1, Action: action, Thumbprint: about.Thumbprint, SHA1: about.SHA1, Subject: about.Subject,
		NotAfter: about.NotAfter,
	}
	if as.Client != nil {
		o.ClientID = inside.ClientOf(as.Client).ID
	}
	if key.Leaf != nil {
		o.NotBefore = key.Leaf.NotBefore.UTC()
		o.Certificate = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: key.Leaf.Raw}))
	}
	set, err := jwks.Marshal(key)
	if err != nil {
		return order{}, err
	}
	var keys struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(set, &keys); err != nil || len(keys.Keys) != 1 {
		return order{}, errors.Join(errors.New("no JWK"), err)
	}
	o.JWK = keys.Keys[0]
	return o, nil
}

// run starts the program and reads its answer. Neither what it writes nor how long it takes
// is without a bound.
func (c *command) run(ctx context.Context, o order) (report, error) {
	input, err := json.Marshal(o)
	if err != nil {
		return report{}, err
	}
	options := c.options
	ctx, cancel := context.WithTimeoutCause(ctx, options.Limit, fmt.Errorf("it took over %v", options.Limit))
	defer cancel()
	cmd := exec.CommandContext(ctx, c.program, c.args...)
	cmd.Dir = options.Dir
	cmd.Env = options.Env
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env[:len(cmd.Env):len(cmd.Env)], "CERTTOKEN_ROTATE_ACTION="+o.Action,
		"CERTTOKEN_ROTATE_KEY_ID="+o.KeyID, "CERTTOKEN_ROTATE_THUMBPRINT="+o.Thumbprint)
	cmd.Stdin = bytes.NewReader(append(input, '\n'))
	out, errs := &bounded{limit: execOutput}, &bounded{limit: execErrors}
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.WaitDelay = execLinger
	ownGroup(cmd)
	if err := cmd.Start(); err != nil {
		return report{}, fmt.Errorf("%w: it doesn't start: %w", ErrRefused, err)
	}
	err = cmd.Wait()
	endGroup(cmd)
	// A program that succeeded is done, though something that it started still held its output.
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return report{}, c.failure(ctx, err, errs)
	}
	if out.over {
		return report{}, fmt.Errorf("it wrote over %d bytes", execOutput)
	}
	var r report
	if text := bytes.TrimSpace(out.kept); len(text) > 0 {
		if err := json.Unmarshal(text, &r); err != nil {
			return report{}, fmt.Errorf("what it wrote is no JSON: %w", err)
		}
	}
	return r, nil
}

// failure is the error of a program that didn't succeed.
func (c *command) failure(ctx context.Context, err error, errs *bounded) error {
	said := redact.Text(string(bytes.TrimSpace(errs.kept)), redact.MaxText)
	if said != "" {
		said = ": " + said
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w%s", context.Cause(ctx), said)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		switch exit.ExitCode() {
		case execUnchanged:
			return fmt.Errorf("%w%s", ErrRefused, said)
		case execUnsupported:
			return fmt.Errorf("%w%s", errors.ErrUnsupported, said)
		}
	}
	return fmt.Errorf("%w%s", err, said)
}

// bounded keeps the first bytes that are written to it, and takes the others without a word,
// so that the program isn't stopped by them.
type bounded struct {
	kept  []byte
	limit int
	over  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := min(len(p), b.limit-len(b.kept))
	b.over = b.over || room < len(p)
	b.kept = append(b.kept, p[:room]...)
	return len(p), nil
}
