package main

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
)

// proofRequest is the HTTP request for which a DPoP proof is printed beside a token (RFC
// 9449). The key is in memory only, so the token is of no use without it.
type proofRequest struct {
	text  string // method and URL
	nonce string // that the API gave; "": none
}

func (p *proofRequest) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.text, "proof-for", "",
		"with --dpop, `REQUEST` to print a proof for: method and URL, such as \"GET https://api.example/things\"")
	cmd.Flags().StringVar(&p.nonce, "proof-nonce", "", "with --proof-for, the `NONCE` of the API's header DPoP-Nonce")
}

// resolve checks the flags against those of the token and of its output.
func (p *proofRequest) resolve(target *targetFlags, format string) error {
	dpop := target.dpop
	switch {
	case !dpop && p.text != "":
		return failure.Usagef("--proof-for goes with --dpop: other tokens need no proof")
	case p.nonce != "" && p.text == "":
		return failure.Usagef("--proof-nonce goes with --proof-for")
	case !dpop:
		return nil
	case p.text == "":
		return failure.Usagef("--dpop: the token is of no use without a proof for a request: add --proof-for").
			Advise(`Such as --proof-for "GET https://api.example/things".`)
	case format != outputHeader && format != outputJSON:
		return failure.Usagef("--dpop: the token is of no use without its proof: add --header or --json, which print both")
	}
	_, rawURL, ok := p.parts()
	u, err := url.Parse(rawURL)
	switch {
	case !ok || err != nil || u.Host == "":
		return failure.Usagef("--proof-for: give a method and a URL with one space in between").
			Advise(`Such as --proof-for "GET https://api.example/things".`)
	case u.Scheme != "https" && !target.loopback:
		return failure.Usagef("--proof-for: the token is for https only, not for %s", console.Printable(u.Scheme))
	}
	return nil
}

func (p *proofRequest) parts() (method, rawURL string, ok bool) {
	method, rawURL, ok = strings.Cut(p.text, " ")
	return method, rawURL, ok && method != "" && rawURL != "" && !strings.Contains(rawURL, " ")
}

// prove makes the proof.
func (p *proofRequest) prove(client *certtoken.Client, token *certtoken.Token) (string, error) {
	method, rawURL, ok := p.parts()
	if !ok {
		return "", nil
	}
	if u, err := url.Parse(rawURL); err == nil && p.nonce != "" {
		answer := &http.Response{Header: make(http.Header), Request: &http.Request{URL: u}}
		answer.Header.Set("DPoP-Nonce", p.nonce)
		client.NoteNonce(answer)
	}
	return client.Proof(token, method, rawURL)
}
