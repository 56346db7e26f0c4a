package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/rotate"
)

// dryRun is "rotate --dry-run".
type dryRun struct {
	console   *console.Console
	json      bool
	registrar rotate.Registrar
	flags     *registrarFlags
	cert      *certtoken.Certificate
	files     []string // that are replaced; "" is none
	timeout   time.Duration
	request   certtoken.Request
}

// try asks for a token, looks at the folders and asks the registrar, and says what is next.
// It changes nothing.
func (d *dryRun) try(ctx context.Context, client *certtoken.Client, rotation *rotate.Rotation) error {
	status, err := rotation.Status(ctx)
	if err != nil {
		return rotationFailed(err)
	}
	for _, file := range d.files {
		if err := checkFolder(file); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	if len(d.request.Scopes) > 0 || len(d.request.Parameters) > 0 {
		_, err = client.Acquire(ctx, d.request)
	} else {
		err = client.Check(ctx)
	}
	if err != nil {
		return err
	}
	unchecked, err := d.ask(ctx, client)
	if err != nil {
		return failure.Errorf("registration: %w", rotateWords(err)).Advise(d.advice()...)
	}
	attention := orphansOf(status)
	if unchecked != "" {
		attention = append(attention, "not checked: registration at "+d.registrar.String()+": "+unchecked)
	}
	return printRotation(d.console, status, attention, d.json)
}

// ask has the registrar look for the present key. Where it can't, unchecked says why.
func (d *dryRun) ask(ctx context.Context, client *certtoken.Client) (unchecked string, err error) {
	finder, ok := d.registrar.(rotate.Finder)
	if !ok {
		return "it can't look keys up", nil
	}
	ids, err := finder.Find(ctx, d.cert, rotate.Identity{Client: client, Certificate: d.cert})
	_, isSet := d.registrar.(*rotate.KeySet) // the first run puts the key into it
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		why := strings.TrimPrefix(inFlags(err.Error()), errors.ErrUnsupported.Error())
		return "it can't look keys up" + why, nil
	case err != nil:
		return "", err
	case len(ids) == 0 && !isSet:
		return "it doesn't know the present key, though tokens are granted for it: is it the right object?", nil
	}
	return "", nil
}

// advice says what to do if the registrar can't look the key up.
func (d *dryRun) advice() []string {
	switch f := d.flags; {
	case f.graph != "":
		return []string{"--graph is the object id of the application, not its client id; with --service-principal",
			"it is that of the enterprise application."}
	case f.jwks != "":
		return []string{"--jwks names the file of the set; without the file the first run makes it."}
	}
	return []string{"--exec names a program that is given the action \"find\" too: it ends with status 3 if it can't."}
}

// checkFolder reports why a file can't be replaced: its folder, or that which a link leads to,
// must be written to.
func checkFolder(file string) error {
	if file == "" {
		return nil
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".certtoken-dry-run-*")
	if err != nil {
		return failure.Errorf("the folder of %s can't be written to: %w", file, failure.File(err)).
			Advise("Run this as the user who may write to it: new files are made there and renamed.")
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
