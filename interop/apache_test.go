package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// apacheModules is where Debian has them.
const apacheModules = "/usr/lib/apache2/modules"

// apacheProgram is not in every user's PATH.
const apacheProgram = "/usr/sbin/apache2"

func lacksApache() error {
	_, err := os.Stat(apacheProgram)
	if err == nil {
		_, err = os.Stat(filepath.Join(apacheModules, "mod_ssl.so"))
	}
	return err
}

// startApache starts Debian's Apache with a certificate and further lines of its
// configuration, and returns its address. It ends with the test.
func startApache(t *testing.T, tlsCert tlsCertificate, modules []string, lines ...string) string {
	t.Helper()
	lacks(t, lacksApache(), "Apache can't be asked")
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	conf := []string{
		"ServerRoot " + folder, "ServerName 127.0.0.1",
		"PidFile " + filepath.Join(folder, "pid"), "Mutex file:" + folder,
		"DefaultRuntimeDir " + folder, "ErrorLog /dev/stderr", "LogLevel warn",
	}
	for _, m := range append([]string{"mpm_event", "authz_core", "authz_host", "ssl"}, modules...) {
		conf = append(conf, fmt.Sprintf("LoadModule %s_module %s/mod_%s.so", m, apacheModules, m))
	}
	if os.Geteuid() == 0 {
		conf = append(conf, "User www-data", "Group www-data")
	}
	conf = append(
		conf,
		"SSLEngine on",
		"SSLCertificateFile "+write(
			"cert.pem",
			tlsCert.certPEM,
		),
		"SSLCertificateKeyFile "+write("key.pem", tlsCert.keyPEM),
	)
	ports := startServer(t, 1, func(ports []string) []string {
		all := strings.Join(append(append(conf, "Listen 127.0.0.1:"+ports[0]), lines...), "\n") + "\n"
		return []string{apacheProgram, "-D", "FOREGROUND", "-f", write("apache.conf", all)}
	})
	return "https://127.0.0.1:" + ports[0]
}

// behindApache puts Apache before Keycloak, and returns its address.
func (k *keycloak) behindApache(t *testing.T) string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "keycloak.pem")
	require.NoError(t, os.WriteFile(ca, []byte(k.tls.certPEM), 0o644))
	return startApache(t, k.tls, []string{"proxy", "proxy_http"},
		"SSLProxyEngine on", "SSLProxyVerify require", "SSLProxyCACertificateFile "+ca,
		"SSLProxyCheckPeerName off", // it knows no IP addresses
		"ProxyPass / "+k.url+"/")
}
