package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/rotate"
	"github.com/spf13/cobra"
)

type rotateStatusCommand struct {
	console *console.Console
	file    string
	json    bool
}

func newRotateStatus(c *console.Console) *cobra.Command {
	s := &rotateStatusCommand{console: c}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how far a rotation is",
		Long: `Says how far the rotation of a certificate is, what comes next, and when. It
reads what the last run has recorded beside the file, and asks no server.

For monitoring, it exits with 6 if something should be done: no rotation has run
yet, a step fails, a step is more than a day late, the certificate has ended, or
a key must be removed by hand. What that is, is under "attention" in the JSON.`,
		Example: `  certtoken rotate status --cert app.pem
  certtoken rotate status --cert app.pem --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&s.file, "cert", "", "`FILE` with the certificate ($"+azureenv.CertificatePath+")")
	cmd.Flags().BoolVar(&s.json, "json", false, "print JSON")
	return cmd
}

func (s *rotateStatusCommand) run(ctx context.Context) error {
	if s.file == "" {
		s.file = azureenv.Get(azureenv.CertificatePath)
	}
	if s.file == "" {
		return failure.Usagef("missing --cert").
			Advise("Give the file that is rotated, or set " + azureenv.CertificatePath + ".")
	}
	if err := absolute(&s.file); err != nil {
		return err
	}
	status, err := rotate.ReadStatus(s.file)
	var attention []string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := checkRegular(s.file); err != nil {
			return err
		}
		status.File = s.file
		attention = []string{"no rotation of this file has run yet: \"certtoken rotate\", by a timer"}
	case errors.Is(err, rotate.ErrState):
		return spoiled(err)
	case err != nil:
		return rotateWords(err)
	default:
		attention = attentionOf(status)
	}
	if err := printRotation(s.console, status, attention, s.json); err != nil {
		return err
	}
	if len(attention) > 0 {
		return failure.Errorf("%w", errAttention)
	}
	return nil
}

// attentionOf says what should be done about a rotation.
func attentionOf(s rotate.Status) (list []string) {
	for _, reason := range s.Attention() {
		list = append(list, attentionText(reason, s, time.Now()))
	}
	return list
}

func attentionText(reason rotate.Attention, s rotate.Status, now time.Time) string {
	switch reason {
	case rotate.AttentionFailing:
		f := s.Failing
		return fmt.Sprintf("%s has failed %s: %s", f.Step, sinceText(f, now), inFlags(f.Advice))
	case rotate.AttentionLate:
		return fmt.Sprintf("%s is %s late: is the timer running?", s.Step, times.Span(now.Sub(s.Due)))
	case rotate.AttentionEnded:
		return "the certificate in the file has ended: make a new one and register it by hand"
	case rotate.AttentionOrphans:
		return orphansText(len(s.Orphans))
	}
	return string(reason) // of a package that knows more reasons than this command
}

// sinceText says how often something failed and since when.
func sinceText(f *rotate.Failure, now time.Time) string {
	at, off := f.Since.Local().Format("2006-01-02 15:04:05 MST"), times.Relative(f.Since.Sub(now))
	if f.Count == 1 {
		return fmt.Sprintf("once (%s, %s)", at, off)
	}
	return fmt.Sprintf("%s since %s (%s)", timesText(f.Count), at, off)
}

// orphansOf says that keys must be removed by hand, which the status has one by one.
func orphansOf(s rotate.Status) []string {
	if len(s.Orphans) == 0 {
		return nil
	}
	return []string{orphansText(len(s.Orphans))}
}

func orphansText(n int) string {
	keys := "a key must"
	if n > 1 {
		keys = fmt.Sprintf("%d keys must", n)
	}
	return keys + " be removed from the registration by hand. Where \"certtoken rotate\" can look keys up, it notices " +
		"that; elsewhere say so by --forget THUMBPRINT"
}
