package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// maxAgentAnswer is more than any token needs.
const maxAgentAnswer = 1 << 20

// agentFlags say whether an agent is asked, and which.
type agentFlags struct {
	socket string
	user   string
}

func (f *agentFlags) addTo(cmd *cobra.Command) {
	set := pflag.NewFlagSet(flagsAgentClient, pflag.ContinueOnError)
	set.SortFlags = false
	set.StringVar(&f.socket, "agent", "", "`PATH` of the socket of an agent to ask for the token ($"+envAgent+")")
	set.StringVar(&f.user, "agent-user", "", "`USER` whom the agent runs as, if that is neither root nor you")
	inGroup(set, flagsAgentClient)
	cmd.Flags().AddFlagSet(set)
}

// beyondScope are flags about the token that the agent isn't asked by.
var beyondScope = []string{"param", "agent-identity", "subject-token", "actor-token"}

// use reports whether the agent is asked. Flags that say how to ask a server win over
// the environment.
func (f *agentFlags) use(cmd *cobra.Command) (bool, error) {
	credential := ""
	cmd.Flags().Visit(func(flag *pflag.Flag) {
		group := flag.Annotations[groupAnnotation]
		if len(group) == 0 {
			return
		}
		switch group[0] {
		case flagsCertificate, flagsServer, flagsAssertion, flagsExchange:
			credential = flag.Name
		}
		switch flag.Name {
		case "tenant", "mtls", flagBound, "dpop", "ca", "allow-http-loopback", "param", "agent-identity":
			credential = flag.Name
		}
	})
	switch {
	case f.socket != "" && slices.Contains(beyondScope, credential):
		return false, failure.Usagef("--agent and --%s exclude each other: the agent is asked for a scope alone", credential)
	case f.socket != "" && credential != "":
		return false, failure.Usagef("--agent and --%s exclude each other: the agent has the certificate", credential)
	case credential != "":
		return false, nil
	case f.socket == "":
		f.socket = os.Getenv(envAgent)
	}
	return f.socket != "", nil
}

// askAgent asks the agent for a token over its socket, after it has made sure whose
// process it is. Without a client id the agent chooses the first identity that lists
// this user.
func (f *agentFlags) askAgent(ctx context.Context, clientID string, scopes []string) (*issuedToken, error) {
	path := strings.TrimPrefix(f.socket, "unix:")
	form := url.Values{"grant_type": {"client_credentials"}}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	if len(scopes) > 0 {
		form.Set("scope", strings.Join(scopes, " "))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+agent.OAuthPath,
		strings.NewReader(form.Encode()))
	if err != nil {
		return nil, failure.Errorf("%w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return f.dial(ctx, path)
	}}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport, CheckRedirect: noRedirect}).Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, failure.Errorf("the agent at %s: %w", path, err).
			Advise("Does it run, with this socket? \"certtoken agent --config FILE\" starts it,",
				"\"certtoken agent status\" asks it.")
	}
	defer answer.Body.Close()
	return readAgentAnswer(answer)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// dial connects to the socket. Somebody else's process gets nothing: it could hand out
// tokens of its own, to see what they are used for.
func (f *agentFlags) dial(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	if err := f.checkPeer(conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (f *agentFlags) checkPeer(conn net.Conn) error {
	peer, ok := agent.PeerOf(conn)
	if !ok {
		if runtime.GOOS == "linux" {
			return errors.New("the system doesn't say whose process it is")
		}
		return nil
	}
	if peer.UID == 0 || int(peer.UID) == os.Geteuid() {
		return nil
	}
	if f.user != "" {
		uid, err := idOf(f.user, userID)
		if err != nil {
			return failure.Errorf("--agent-user: %w", err)
		}
		if peer.UID == uid {
			return nil
		}
	}
	return failure.Errorf("it runs as user %d, who is neither root nor you", peer.UID).
		Advise("If that is right, name the user by --agent-user.")
}

// agentAnswer is the agent's answer, a token or a refusal (RFC 6749 §5).
type agentAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

func readAgentAnswer(answer *http.Response) (*issuedToken, error) {
	var got agentAnswer
	err := json.NewDecoder(io.LimitReader(answer.Body, maxAgentAnswer)).Decode(&got)
	switch {
	case err != nil:
		return nil, failure.Errorf("what answers at the socket is no agent")
	case answer.StatusCode != http.StatusOK:
		return nil, newAgentRefusal(answer.StatusCode, &got)
	case got.AccessToken == "" || got.TokenType == "" || got.ExpiresIn <= 0:
		return nil, failure.Errorf("the agent's answer has no token")
	}
	return &issuedToken{
		reveal:    func() string { return got.AccessToken },
		typ:       got.TokenType,
		scopes:    strings.Fields(got.Scope),
		expiresAt: time.Now().Add(time.Duration(got.ExpiresIn) * time.Second),
	}, nil
}

// agentRefusal is a refusal of the agent. Scripts see in it what they see in a server's.
type agentRefusal struct {
	text string
	as   *certtoken.TokenError
}

func (e *agentRefusal) Error() string { return e.text }

// Unwrap gives the refusal its exit status.
func (e *agentRefusal) Unwrap() error { return e.as }

func newAgentRefusal(status int, got *agentAnswer) error {
	as := &certtoken.TokenError{StatusCode: status, Code: got.Error, Description: got.Description}
	err := failure.Errorf("%w", &agentRefusal{"the agent refuses: " + got.Error + ": " + got.Description, as})
	switch got.Error {
	case "invalid_client":
		return err.Advise("The agent's configuration must list your user among the callers of this identity;",
			"--client-id asks for another.")
	case "invalid_scope":
		return err.Advise("Give a --scope that the agent's configuration lists for this identity.")
	}
	return err.Advise("The agent's log says more.")
}
