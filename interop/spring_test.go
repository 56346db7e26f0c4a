package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// theSpring is Spring Authorization Server, as Spring Boot configures it.
var theSpring = &sharedProgram{name: "Spring Authorization Server", command: springCommand}

// springCommand has Java compile the server's one source file as it starts it.
func springCommand() ([]string, error) {
	for _, program := range []string{"java", "javac", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, err
		}
	}
	classes, err := classPath(filepath.Join("server", "spring"))
	if err != nil {
		return nil, err
	}
	return []string{
		"java", "-XX:TieredStopAtLevel=1", "-Xmx256m", // starts sooner, takes less
		"-cp", classes, filepath.Join("spring", "Server.java"),
	}, nil
}

// classPath is that of the folder's pom.xml. Maven fetches what it names into its own
// repository, and is asked once for each content of that file: it takes seconds.
func classPath(folder string) (string, error) {
	pom, err := os.ReadFile(filepath.Join(folder, "pom.xml"))
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(pom)
	name := "classpath-" + hex.EncodeToString(sum[:8])
	list := func(to string) error {
		return maven(folder, "build-classpath", "-Dmdep.outputFile="+filepath.Join(to, "libraries"))
	}
	for range 2 {
		made, err := kept(name, list)
		if err != nil {
			return "", err
		}
		known, err := os.ReadFile(filepath.Join(made, "libraries"))
		if classes := strings.TrimSpace(string(known)); err == nil && allThere(classes) {
			return classes, nil
		}
		if err := os.RemoveAll(made); err != nil { // Maven's repository has lost some
			return "", err
		}
	}
	return "", fmt.Errorf("Maven's libraries for %s aren't there", folder)
}

// allThere reports whether each file of a class path exists.
func allThere(classes string) bool {
	for _, file := range filepath.SplitList(classes) {
		if _, err := os.Stat(file); err != nil {
			return false
		}
	}
	return classes != ""
}

var springVersion = regexp.MustCompile(`spring-security-oauth2-authorization-server-([0-9.]+)\.jar`)

// springJudge is the server with clients that have their keys at a URL, the only place
// where it looks for them.
func springJudge(t *testing.T) *judge {
	t.Helper()
	classes, err := classPath(filepath.Join("server", "spring"))
	require.NoError(t, err)
	version := springVersion.FindStringSubmatch(classes)
	require.NotNil(t, version)
	j := theSpring.judge(t, "Spring Authorization Server "+version[1])
	j.algorithms = []certtoken.Algorithm{
		certtoken.RS256, certtoken.RS384, certtoken.RS512,
		certtoken.PS256, certtoken.PS384, certtoken.PS512,
	}
	j.curves = []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512}
	j.publish = theSpring.tls.serve
	j.noThumbprint, j.allowsReplays = true, true
	j.register = func(t *testing.T, r registration) {
		t.Helper()
		set, err := json.Marshal(r.jwks())
		require.NoError(t, err)
		require.NoError(t, theSpring.register(t, map[string]any{
			"id": r.id, "method": "private_key_jwt", "algorithm": r.algorithm,
			"lifetime": r.lifetime.Seconds(), "jwksURI": j.publish(t, servedJSON(set)),
		}))
	}
	j.registerSet = func(t *testing.T, r keySet) error {
		t.Helper()
		return theSpring.register(t, map[string]any{
			"id": r.id, "method": "private_key_jwt", "algorithm": r.algorithm, "jwksURI": r.url,
		})
	}
	j.urlOnly = true
	j.registerBound = func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool {
		t.Helper()
		client := map[string]any{
			"id": id, "method": "private_key_jwt", "algorithm": certtoken.RS256, "bound": b != boundToKey,
			"jwksURI": j.publish(t, servedJSON(printedWithCertificate(t, cert))),
		}
		switch b {
		case byCA:
			client["method"], client["subject"] = "tls_client_auth", boundSubject
		case bySelf:
			client["method"] = "self_signed_tls_client_auth"
		}
		require.NoError(t, theSpring.register(t, client))
		return true
	}
	return j
}

// servedJSON serves a document.
func servedJSON(document []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
}
