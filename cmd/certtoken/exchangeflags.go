package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
)

// exchangeFlags name the token that is exchanged for the new one: of the user for whom the
// application acts, and of the one who acts for that user.
type exchangeFlags struct {
	subject     string
	subjectType string
	actor       string
	actorType   string
}

// tokenTypes are the last parts of the standard's identifiers (RFC 8693 §3).
var tokenTypes = []string{"access_token", "refresh_token", "id_token", "jwt", "saml1", "saml2"}

const defaultTokenType = "access_token"

func (f *exchangeFlags) addTo(cmd *cobra.Command) {
	set := pflag.NewFlagSet(flagsExchange, pflag.ContinueOnError)
	set.SortFlags = false
	set.StringVar(&f.subject, "subject-token", "",
		"`FILE` with a token to exchange, - is standard input; Entra ID and ADFS take it on behalf of its user")
	set.StringVar(&f.subjectType, "subject-token-type", "",
		"`TYPE` of that token: "+strings.Join(tokenTypes, ", ")+" or a URI (default "+defaultTokenType+")")
	set.StringVar(&f.actor, "actor-token", "", "`FILE` with the token of who acts for that subject")
	set.StringVar(&f.actorType, "actor-token-type", "", "`TYPE` of the actor's token (default "+defaultTokenType+")")
	inGroup(set, flagsExchange)
	cmd.Flags().AddFlagSet(set)
	completeWords(cmd, "subject-token-type", tokenTypes...)
	completeWords(cmd, "actor-token-type", tokenTypes...)
}

// given reports whether a token is exchanged.
func (f *exchangeFlags) given() bool { return f.subject != "" }

// check finds what is wrong with the flags before a file is read.
func (f *exchangeFlags) check(t *target) error {
	onStdin := 0
	for _, file := range []string{f.subject, f.actor, t.cert.file, t.cert.password.file} {
		if file == "-" {
			onStdin++
		}
	}
	switch {
	case f.subject == "" && f.subjectType != "":
		return failure.Usagef("--subject-token-type goes with --subject-token")
	case f.subject == "" && f.actor != "":
		return failure.Usagef("--actor-token goes with --subject-token")
	case f.actor == "" && f.actorType != "":
		return failure.Usagef("--actor-token-type goes with --actor-token")
	case f.given() && onStdin > 1:
		return failure.Usagef("only one of certificate, password and tokens can come from standard input")
	case t.onBehalfOf && f.actor != "":
		return failure.Usagef("--actor-token is for servers by RFC 8693: Entra ID and ADFS know no actor")
	case t.onBehalfOf && f.subjectType != "" && f.subjectType != defaultTokenType:
		return failure.Usagef("--subject-token-type: Entra ID and ADFS take the user's access token and no other")
	}
	return nil
}

// grant reads the tokens and makes the grant that exchanges them. It is the zero Grant
// where there is none to exchange.
func (f *exchangeFlags) grant(ctx context.Context, c *console.Console, t *target) (certtoken.Grant, error) {
	if !f.given() {
		return certtoken.Grant{}, nil
	}
	subject, err := readToken(ctx, c, "--subject-token", f.subject)
	switch {
	case err != nil:
		return certtoken.Grant{}, err
	case t.onBehalfOf:
		return certtoken.OnBehalfOf(subject), nil
	}
	grant := certtoken.TokenExchange(subject, typeOr(f.subjectType))
	if f.actor == "" {
		return grant, nil
	}
	actor, err := readToken(ctx, c, "--actor-token", f.actor)
	return grant.WithActor(actor, typeOr(f.actorType)), err
}

func typeOr(given string) string {
	if given == "" {
		return defaultTokenType
	}
	return given
}

// readToken reads a token as programs print it: alone, in an Authorization header, or as
// the JSON of a token response. What was given as the file's name may be the token itself,
// so no error repeats it.
func readToken(ctx context.Context, c *console.Console, flag, name string) (string, error) {
	text, err := readSecretText(ctx, c, flag, name, "token", jwt.MaxSize)
	if err != nil {
		return "", err
	}
	token, err := jwt.Find(text)
	if err == nil && token == "" {
		err = failure.Errorf("the file is empty")
	}
	if err != nil {
		return "", failure.Errorf("%s: %w", flag, err)
	}
	return token, nil
}
