package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/tokencache"
	"github.com/certtoken/certtoken/internal/azureenv"
	"github.com/certtoken/certtoken/internal/connections"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// tokenSource gets a token from where the flags and the environment say.
type tokenSource struct {
	console  *console.Console
	target   targetFlags
	agent    agentFlags
	exchange exchangeFlags // of a command that exchanges tokens
	cache    bool
	proof    proofRequest // of a command that prints one
}

func (t *tokenSource) addTo(cmd *cobra.Command) {
	t.agent.addTo(cmd)
	t.target.addTo(cmd)
	set := pflag.NewFlagSet(flagsConnection, pflag.ContinueOnError)
	set.BoolVar(&t.cache, "cache", false, "keep the token in a file of yours until it ends")
	inGroup(set, flagsConnection)
	cmd.Flags().AddFlagSet(set)
}

// get gets a token from the agent, the cache or the server.
func (t *tokenSource) get(cmd *cobra.Command) (*issuedToken, error) {
	useAgent, err := t.agent.use(cmd)
	switch {
	case err != nil:
		return nil, err
	case useAgent:
		return t.fromAgent(cmd)
	}
	target, err := t.target.describe(cmd, t.console, true)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(t.checkCache(), t.exchange.check(target)); err != nil {
		return nil, err
	}
	cert, err := target.load(cmd.Context(), t.console)
	if err != nil {
		return nil, err
	}
	if target.grant, err = t.exchange.grant(cmd.Context(), t.console, target); err != nil {
		return nil, err
	}
	if !t.cache {
		return t.fetch(cmd.Context(), target, cert)
	}
	return cachedToken(t.cacheName(cmd, target, cert), func() (*issuedToken, error) {
		return t.fetch(cmd.Context(), target, cert)
	})
}

// checkCache refuses --cache for tokens that aren't kept.
func (t *tokenSource) checkCache() error {
	switch {
	case !t.cache:
	case t.target.mtls || t.target.bound:
		return failure.Usagef("--cache and --mtls or --bound exclude each other: a bound token isn't kept")
	case t.target.dpop:
		return failure.Usagef("--cache and --dpop exclude each other: a bound token isn't kept")
	case t.exchange.given():
		return failure.Usagef("--cache and --subject-token exclude each other: a user's token isn't kept")
	}
	return nil
}

// fetch gets a token from the server.
func (t *tokenSource) fetch(ctx context.Context, target *target, cert *openedCert) (*issuedToken, error) {
	ctx, cancel := target.limited(ctx)
	defer cancel()
	defer t.console.Waiting("asking " + target.origin + " for a token")()
	if err := target.locate(ctx); err != nil {
		return nil, err
	}
	client, err := target.client(cert.Certificate)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	token, err := target.acquire(ctx, client)
	if err != nil {
		return nil, t.adviseDeviations(err, cert)
	}
	if claims := claimsOf(token); target.bound && claims.isUnbound() {
		fmt.Fprintln(t.console.Err, "certtoken: warning: "+unboundText)
	}
	issued := newIssuedToken(token)
	issued.proof, err = t.proof.prove(client, token)
	return issued, err
}

// cacheName stands for all that decides which token is granted: the server, the client,
// the certificate, the scopes, the parameters, and every flag about the request.
func (t *tokenSource) cacheName(cmd *cobra.Command, target *target, cert *openedCert) string {
	parts := []string{
		t.target.tenant, t.target.authority, os.Getenv(azureenv.AuthorityHost), os.Getenv(azureenv.Region),
		t.target.tokenURL, target.clientID, target.env.assertionFile, thumbprintOf(cert),
		strings.Join(target.scopes, " "), strconv.FormatBool(t.target.x5c), target.params.Encode(),
		target.agent,
	}
	cmd.Flags().Visit(func(f *pflag.Flag) { // in the order of their names
		group := f.Annotations[groupAnnotation]
		if len(group) > 0 && (group[0] == flagsServer || group[0] == flagsAssertion) || f.Name == "ca" {
			parts = append(parts, fmt.Sprintf("--%s=%s", f.Name, f.Value))
		}
	})
	return tokencache.Name(parts...)
}

// thumbprintOf is the SHA-256 of the certificate or, where there is a key alone, of its
// public half. It is "" where an assertion of the platform's is the proof.
func thumbprintOf(cert *openedCert) string {
	if cert.Certificate == nil {
		return ""
	}
	var der []byte
	if cert.Leaf != nil {
		der = cert.Leaf.Raw
	} else if public, err := x509.MarshalPKIXPublicKey(cert.Signer.Public()); err == nil {
		der = public
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// fromAgent asks the agent, which keeps the tokens: no other cache is needed.
func (t *tokenSource) fromAgent(cmd *cobra.Command) (*issuedToken, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), time.Duration(t.target.timeout))
	defer cancel()
	clientID := t.target.clientID
	if clientID == "" && !cmd.Flags().Changed("client-id") {
		clientID = os.Getenv(azureenv.ClientID)
	}
	return t.agent.askAgent(ctx, clientID, t.target.scopes)
}

// adviseDeviations says after a refused handshake what is unusual about the
// certificate: a server whose parser is strict refuses it for that.
func (t *tokenSource) adviseDeviations(err error, cert *openedCert) error {
	if !t.target.mtls && !t.target.bound || len(cert.deviations) == 0 || !connections.EndedHandshake(err) {
		return err
	}
	return failure.Errorf("%w", err).Advise(console.Wrap("The endpoint ended the TLS handshake. Strict programs, "+
		"such as those in Go, refuse this certificate: "+console.Printable(strings.Join(cert.deviations, "; "))+
		". A certificate made anew is better: \"certtoken cert new\".", adviceWidth)...)
}
