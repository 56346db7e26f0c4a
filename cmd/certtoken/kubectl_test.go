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

// kubectl gets its token by the command, from the agent and from the server.
func TestKubectl(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "kubectl is not installed, and CI=true")
		t.Skip("kubectl is not installed")
	}
	h := newAgentHome(t, fmt.Sprintf("      - user: %d\n", os.Getuid()))
	h.start(t, nil)
	var mu sync.Mutex
	var authorizations []string
	api := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		authorizations = append(authorizations, r.Header.Get("Authorization"))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"gitVersion":"v1.99.0"}`))
	}))
	defer api.Close()
	h.write(t, "api.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: api.Certificate().Raw})))
	direct := []string{
		"--authority=entra", "--token-url=" + h.endpoint.TokenURL(), "--ca=" + h.path("ca.pem"), "--client-id=my-app",
		"--cert=" + h.path("app.pem"), "--cache",
	}
	for _, tt := range []struct { // in this order: the endpoint's last token is the one that is used
		name, version string
		args          []string
	}{
		{"agent", "v1", []string{"--agent=" + h.path("agent.sock")}},
		{"v1beta1", "v1beta1", []string{"--agent=" + h.path("agent.sock")}},
		{"server", "v1", direct},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h.write(t, "kubeconfig", kubeconfig(h, api.URL, tt.version, tt.args))
			cmd := exec.Command(kubectl, "--kubeconfig", h.path("kubeconfig"), "get", "--raw", "/version")
			cmd.Env = append(cleanEnviron(), "HOME="+h.dir, "XDG_RUNTIME_DIR="+h.dir)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Contains(t, string(out), "v1.99.0")
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, "Bearer "+h.endpoint.LastRequest().AccessToken, authorizations[len(authorizations)-1])
		})
	}
}

func kubeconfig(h *agentHome, server, version string, args []string) string {
	args = append([]string{"token", "--output=exec-credential", "--scope=https://graph.microsoft.com/.default"},
		args...)
	return `apiVersion: v1
kind: Config
current-context: c
clusters: [{name: c, cluster: {server: "` + server + `", certificate-authority: "` + h.path("api.pem") + `"}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
users:
  - name: u
    user:
      exec:
        apiVersion: client.authentication.k8s.io/` + version + `
        command: ` + h.command + `
        args: ["` + strings.Join(args, `", "`) + `"]
        interactiveMode: Never
`
}
