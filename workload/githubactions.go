package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/certtoken/certtoken"
)

// Variables that GitHub Actions sets for a job with the permission id-token: write.
const (
	envTokenURL     = "ACTIONS_ID_TOKEN_REQUEST_URL"
	envRequestToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

// GitHubActions is a source of the ID tokens of a job in GitHub Actions, which needs
// permissions: {id-token: write}. Their subject is such as
// repo:OWNER/REPO:ref:refs/heads/main or repo:OWNER/REPO:environment:NAME. GitHub is asked for
// each assertion, because a token lives for minutes only. Each attempt has 10 s; a busy server
// is asked up to three times.
//
// The client sends the requests; it follows no redirect. With nil it is that of
// [http.DefaultTransport].
func GitHubActions(client *http.Client) certtoken.AssertionSource {
	if client == nil {
		client = &http.Client{}
	}
	return &gitHubActions{service{name: "GitHub Actions", client: newClient(client), temporary: isBusy}}
}

type gitHubActions struct{ service service }

// String names the source.
func (*gitHubActions) String() string { return "workload.GitHubActions" }

func (s *gitHubActions) Assertion(ctx context.Context, audience string) (string, error) {
	place, secret := os.Getenv(envTokenURL), os.Getenv(envRequestToken)
	if place == "" || secret == "" {
		return "", fmt.Errorf("%s: %s: does this run in a job of a workflow, and has the job the permission "+
			"id-token: write? The workflow needs permissions: {id-token: write}, and a pull request from a fork "+
			"never has it", s.service.name, missing(place, secret))
	}
	address, err := checkAddress(envTokenURL, place)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.service.name, err)
	}
	query := address.Query()
	if audience != "" {
		query.Set("audience", audience)
	}
	address.RawQuery = query.Encode()
	body, err := s.service.ask(ctx, question{address: address, secret: secret, header: http.Header{
		"Authorization": {"Bearer " + secret}, "Accept": {"application/json"},
	}})
	if err != nil {
		return "", err
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Value == "" {
		return "", errors.New(s.service.name + ": the answer of " + address.Host + " has no token")
	}
	return answer.Value, nil
}

// missing says which variable isn't set.
func missing(place, secret string) string {
	switch {
	case place == "" && secret == "":
		return envTokenURL + " and " + envRequestToken + " are not set"
	case place == "":
		return envTokenURL + " is not set"
	}
	return envRequestToken + " is not set"
}
