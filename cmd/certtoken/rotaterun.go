package main

import (
	"cmp"
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/internal/workers"
	"github.com/certtoken/certtoken/rotate"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/spf13/cobra"
)

// rotateCommand is "certtoken rotate".
type rotateCommand struct {
	console   *console.Console
	registrar registrarFlags
	plan      rotationFlags
	target    targetFlags
	dryRun    bool
	now       bool
	forget    string // the thumbprint of a key that somebody has removed by hand
	wait      duration
	json      bool
	quiet     bool
}

// rotationFlags say when the steps of a rotation are made, and of what.
type rotationFlags struct {
	before      period
	every       period
	removeAfter period
	settle      duration
	days        int
	keyID       string
}

// defaultSettle is that of package rotate.
const defaultSettle = 2 * time.Minute

func (r *rotateCommand) run(cmd *cobra.Command, _ []string) error {
	if err := r.check(cmd); err != nil {
		return err
	}
	target, err := r.target.resolve(cmd, r.console, false)
	if err != nil {
		return err
	}
	switch {
	case target.isFederated():
		return failure.Usagef("%s names an assertion of the platform's: there is no certificate to rotate",
			azureenv.FederatedFile).Advise("Give --cert FILE, which wins over the variable.")
	case target.cert.file == "-":
		return failure.Usagef("--cert can't be standard input: the file is replaced")
	}
	if err := absolute(&target.cert.file, &target.cert.key, &r.registrar.jwks); err != nil {
		return err
	}
	registrar, err := r.registrar.registrar(cmd, target)
	if err != nil {
		return err
	}
	opened, err := target.load(cmd.Context(), r.console)
	if err != nil {
		return err
	}
	if opened.format == formatTPM {
		return errRotateTPM(cmp.Or(target.cert.key, target.cert.file))
	}
	client, err := target.client(r.source(target, opened))
	if err != nil {
		return err
	}
	defer client.Close()
	rotation, err := r.options(target).New(client, registrar, filepath.Dir(target.cert.file))
	if err != nil {
		return failure.Usagef("%w", rotateWords(err))
	}
	switch {
	case r.dryRun:
		dry := dryRun{console: r.console, json: r.json, registrar: registrar, flags: &r.registrar, cert: opened.Certificate,
			files: []string{target.cert.file, target.cert.key, r.registrar.jwks}, timeout: target.timeout,
			request: certtoken.Request{Scopes: r.scopes(target), Parameters: target.params}}
		return dry.try(cmd.Context(), client, rotation)
	case r.forget != "":
		return rotateWords(rotation.Forget(cmd.Context(), r.forget))
	}
	return r.rotate(cmd.Context(), rotation)
}

// errRotateTPM is the error about a file whose key can't be replaced.
func errRotateTPM(file string) error {
	return failure.Errorf("%s: its key is in the TPM, and rotate makes keys in files only", file).
		Advise(`Make the next key by "certtoken cert new --tpm --out DIR", add its public.cer at the server`,
			"beside the present one, and then give programs the new file.")
}

// check finds flags that don't go with each other, before anything is read.
func (r *rotateCommand) check(cmd *cobra.Command) error {
	for _, name := range []string{"select", "kid", "dpop"} {
		if cmd.Flags().Changed(name) {
			return failure.Usagef("--%s doesn't go with rotate", name).
				Advise("The next certificate has another thumbprint and key id. The file must hold one alone.")
		}
	}
	for name, d := range map[string]duration{
		"before": duration(r.plan.before), "every": duration(r.plan.every), "remove-after": duration(r.plan.removeAfter),
		"settle": r.plan.settle, "wait": r.wait,
	} {
		if d < 0 {
			return failure.Usagef("--%s: give a duration that isn't negative, such as 30d or 5m", name)
		}
	}
	switch {
	case r.plan.before == 0 || r.plan.every == 0:
		return failure.Usagef("--before and --every: give a duration over 0, such as 30d")
	case r.plan.days < 0 || r.plan.days > 36500:
		return failure.Usagef("--days %d is not within 1 and 36500", r.plan.days)
	case r.dryRun && (r.now || r.wait > 0):
		return failure.Usagef("--dry-run changes nothing: leave out --now and --wait")
	case r.forget != "" && (r.now || r.wait > 0 || r.dryRun):
		return failure.Usagef("--forget makes no step: leave out --now, --wait and --dry-run")
	}
	return nil
}

// source follows the file, with the password that it was opened with.
func (r *rotateCommand) source(t *target, opened *openedCert) certtoken.CertSource {
	var opts []certtoken.CertOption
	if t.cert.key != "" {
		opts = append(opts, certtoken.WithKeyFile(t.cert.key))
	}
	if opened.pass.given() {
		opts = append(opts, certtoken.WithPassword(opened.pass.reveal()))
	}
	if opened.Leaf == nil {
		return certtoken.KeyFile(t.cert.file, opts...)
	}
	return certtoken.CertFile(t.cert.file, opts...)
}

func (r *rotateCommand) options(t *target) rotate.Options {
	opts := rotate.Options{
		Before:      time.Duration(r.plan.before),
		Every:       time.Duration(r.plan.every),
		RemoveAfter: orNone(duration(r.plan.removeAfter)),
		Settle:      orNone(r.plan.settle),
		Certificate: selfsigned.Options{Validity: time.Duration(r.plan.days) * day},
		KeyID:       r.plan.keyID,
		Probe:       certtoken.Request{Scopes: r.scopes(t), Parameters: t.params},
	}
	if !r.quiet {
		opts.Log = slog.New(slog.NewTextHandler(r.console.Err, nil))
		if r.json {
			opts.Log = slog.New(slog.NewJSONHandler(r.console.Err, nil))
		}
	}
	return opts
}

// orNone is a duration as package rotate takes it, where 0 is the default and less is none.
func orNone(d duration) time.Duration {
	if d == 0 {
		return -1
	}
	return time.Duration(d)
}

// scopes are those that tokens are asked for by, to see whether they are granted. Without
// any the library asks Entra ID for Microsoft Graph. It doesn't know Entra ID's dialect at
// another endpoint, where a scope is needed too.
func (r *rotateCommand) scopes(t *target) []string {
	if len(t.scopes) == 0 && t.entra && r.target.tokenURL != "" {
		return []string{publicGraphScope}
	}
	return t.scopes
}

// rotate makes the steps, and prints how far the rotation is.
func (r *rotateCommand) rotate(ctx context.Context, rotation *rotate.Rotation) error {
	status, begun, err := r.advance(ctx, rotation)
	if printErr := printRotation(r.console, status, orphansOf(status), r.json); printErr != nil {
		return printErr
	}
	switch {
	case ctx.Err() != nil: // while it waited
		return failure.ErrInterrupted
	case err != nil:
		return rotationFailed(err)
	case !begun:
		return failure.Errorf("nothing was begun: another process rotates the file all the time").
			Advise("Run it again, or give --wait 5m to wait for the other one.")
	case r.now && r.plan.removeAfter == 0 && keysLeft(status):
		return failure.Errorf("%w: an old key is registered still, or its removal isn't known", errAttention).
			Advise("Run it again without --now to go on; a key \"by hand\" must be removed by hand.")
	}
	return nil
}

// advance makes the steps that are due, and those that become due while there is time. begun is
// false if a rotation was to begin, and didn't.
func (r *rotateCommand) advance(ctx context.Context, rotation *rotate.Rotation) (
	status rotate.Status, begun bool, err error,
) {
	until := time.Now().Add(time.Duration(r.wait))
	old := ""
	for {
		step := rotation.Advance
		if r.now && !begun {
			step = rotation.Begin
		}
		status, err = step(ctx)
		if old == "" {
			old = status.Current.Thumbprint
		}
		// Where another process rotates the file, the key that it replaces isn't replaced once more.
		begun = begun || !r.now || !status.Held || status.Step != rotate.StepWait || status.Current.Thumbprint != old
		goesOn := status.Held || status.Step != "" && status.Step != rotate.StepWait
		due := status.Due
		if status.Held {
			due = time.Now()
		}
		if r.wait == 0 || !goesOn || !pause(ctx, due, until) {
			return status, begun, err
		}
	}
}

// keysLeft reports whether an old key is registered still.
func keysLeft(s rotate.Status) bool {
	return s.Step != rotate.StepWait || len(s.Retired) > 0 || len(s.Orphans) > 0
}

// pause waits for the next step, at least a second. It reports whether the step is due
// before the time is over.
func pause(ctx context.Context, due, until time.Time) bool {
	wait := max(time.Until(due), time.Second)
	if time.Now().Add(wait).After(until) {
		return false
	}
	return workers.Sleep(ctx, wait)
}
