package main

import (
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newRotate(c *console.Console) *cobra.Command {
	r := &rotateCommand{console: c}
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace a certificate before it ends, without an outage",
		Long: `Makes those steps of a certificate's rotation that are due, and says what comes
next and when. A timer or cron runs it, say every hour:

  make      a new key and certificate, in a file beside the present one
  register  the new one at the server, beside the old one
  confirm   that the server grants tokens for the new one
  switch    the new file takes the name of the present one, in the same form
  use       a token is granted for the certificate in the file
  remove    the old one from the server, days later

What was done is recorded in FILE.rotation.json. A run that is killed at any
point is made good by the next one. At each moment at least one of the keys is
registered, and only keys that were recorded are removed. Programs follow the
file.

The server learns of the keys from Microsoft Graph (--graph), from a JWK Set
that it fetches (--jwks), or by a program of yours (--exec), which reads JSON on
its standard input: the documentation of package rotate says which.

It exits with 0 if the steps that were due were made or none was due. A step
that failed is tried again by the next run; "rotate status" is for monitoring.
With --now it fails if it could begin nothing because another process rotates
the file. With --now --remove-after 0 it exits with 6 if the old key is still
registered at the end.

Before the first run, try --dry-run with the same flags, but without --now and
--wait. It looks at the file, its folder, the server and, if it may read it, the
registration. Paths are recorded as absolute ones.`,
		Example: `  certtoken rotate --tenant contoso.onmicrosoft.com --client-id ID \
    --cert app.pem --graph OBJECT-ID --before 30d
  certtoken rotate status --cert app.pem

  certtoken rotate --token-url https://idp.example/token --client-id ID \
    --audience https://idp.example --cert app.pem --jwks /srv/www/jwks.json

  certtoken rotate --token-url https://idp.example/token --client-id ID \
    --audience https://idp.example --cert app.pem \
    --exec /usr/local/bin/register-key --dry-run`,
		Args: noArgs,
		RunE: r.run,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&r.json, "json", false, "print JSON, and log lines of JSON")
	flags.BoolVarP(&r.quiet, "quiet", "q", false, "don't log the steps")
	inGroup(flags, flagsOutput)
	r.addTo(flags)
	r.target.addTo(cmd)
	flags.Lookup("cert").Usage = "`FILE` with the certificate and its key, or a key alone, to be replaced"
	flags.Lookup("select").Hidden = true // the next certificate has another thumbprint
	flags.Lookup("dpop").Hidden = true   // it uses its tokens itself
	flags.Lookup("kid").Hidden = true    // the next key has another one
	cmd.AddCommand(newRotateStatus(c))
	return cmd
}

func (r *rotateCommand) addTo(flags *pflag.FlagSet) {
	set := pflag.NewFlagSet(flagsRotation, pflag.ContinueOnError)
	set.SortFlags = false
	r.registrar.addTo(set)
	r.plan.addTo(set)
	set.BoolVar(&r.now, "now", false, "begin a rotation now, whenever the certificate ends")
	set.Var(&r.wait, "wait",
		"`DURATION` to go on with steps that are due within it, or wait for another process (default none)")
	set.BoolVar(&r.dryRun, "dry-run", false,
		"check flags, file, folder, server and, if it may be read, the registration; change nothing")
	set.StringVar(&r.forget, "forget", "",
		"`THUMBPRINT` of a key that you have removed by hand, so that it is no longer reported; make no step")
	inGroup(set, flagsRotation)
	flags.AddFlagSet(set)
}

func (f *rotationFlags) addTo(set *pflag.FlagSet) {
	f.before, f.every, f.removeAfter = period(30*day), period(90*day), period(7*day)
	f.settle = duration(defaultSettle)
	set.Var(&f.before, "before",
		"`DURATION` before the certificate's end from which on to replace it; at most 2/3 of its validity")
	set.Var(&f.every, "every", "`DURATION` after which to replace a key without a certificate, which has no end")
	set.Var(&f.removeAfter, "remove-after", "`DURATION` for which the old one stays registered; 0 for none")
	set.Var(&f.settle, "settle",
		"`DURATION` for which tokens must be granted for the new one before it is used; 0 for none")
	set.IntVar(&f.days, "days", 0, "`N` days of the new certificate's validity (default that of the old one)")
	set.StringVar(&f.keyID, "key-id", "",
		"`ID` by which the server knows the present key, to remove it later; needed where it can't be looked up")
}
