//go:build linux

package main

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// git itself shows a server the agent's token, and no other server.
func TestGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "git is not installed, and CI=true")
		t.Skip("git is not installed")
	}
	h := newAgentHome(t, fmt.Sprintf("      - user: %d\n", os.Getuid()))
	h.start(t, nil)
	var mu sync.Mutex
	var shown []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, password, ok := r.BasicAuth(); ok {
			token = password
		}
		if token == "" {
			w.Header().Add("WWW-Authenticate", "Bearer")
			w.Header().Add("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		mu.Lock()
		shown = append(shown, token)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write([]byte("001e# service=git-upload-pack\n00000000")) // a repository without branches
	}))
	defer server.Close()
	h.write(t, "git.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	list := func(host string) error {
		helper := "!" + h.command + " git-credential --scope https://graph.microsoft.com/.default --agent " +
			h.path("agent.sock") + " --host " + host
		cmd := exec.Command(git, "-c", "credential.helper="+helper, "ls-remote", server.URL+"/project")
		cmd.Env = append(cleanEnviron(), "HOME="+h.dir, "GIT_TERMINAL_PROMPT=0", "GIT_SSL_CAINFO="+h.path("git.pem"),
			"GIT_CONFIG_NOSYSTEM=1", "GIT_ASKPASS=")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err
	}
	require.NoError(t, list(strings.TrimPrefix(server.URL, "https://")))
	require.Error(t, list("git.example.com"))
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{h.endpoint.LastRequest().AccessToken}, shown, "git shows it once, to the named server")
}
