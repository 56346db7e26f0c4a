package agentfile

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const good = `# the agent
listen: 127.0.0.1:40400
socket: /run/certtoken/agent.sock
socket_mode: "0660"
identities:
  - name: billing
    tenant: contoso.onmicrosoft.com
    client_id: my-app
    certificate: app.pem
    x5c: true
    lifetime: 60
    scopes: ["https://graph.microsoft.com/.default", "https://*.vault.azure.net/.default"]
    callers:
      - secret_file: billing.secret
        name: billing's app
      - user: www-data
      - group: 1000
  - name: reports
    client_id: 4f0b0c1e-0000-4000-8000-000000000000
    certificate: other.pem
    scopes: orders.read
    callers:
      - anyone_on_socket: true
`

func TestParse(t *testing.T) {
	f, err := Parse([]byte(good))
	require.NoError(t, err)
	assert.Equal(t, []Value{{"127.0.0.1:40400", 2}}, f.Listen)
	assert.Equal(t, Value{"0660", 4}, f.SocketMode)
	require.Len(t, f.Identities, 2)
	id := f.Identities[0]
	assert.Equal(t, Value{"billing", 6}, id.Name)
	assert.Equal(t, Value{"contoso.onmicrosoft.com", 7}, id.Settings["tenant"])
	assert.Equal(t, Value{"true", 10}, id.Settings["x5c"])
	assert.Equal(t, Value{"60", 11}, id.Settings["lifetime"])
	assert.Len(t, id.Scopes, 2)
	assert.Equal(t, []Caller{
		{"secret_file", Value{"billing.secret", 14}, Value{"billing's app", 15}},
		{Kind: "user", Value: Value{"www-data", 16}},
		{Kind: "group", Value: Value{"1000", 17}},
	}, id.Callers)
	assert.Equal(t, []Value{{"orders.read", 21}}, f.Identities[1].Scopes)
}

func TestMistakes(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":        {"", "the file is empty"},
		"comment only": {"# nothing\n", "the file is empty"},
		"a list":       {"- a\n", "the file must be a mapping: lines such as listen: 127.0.0.1:40400"},
		"no YAML":      {"listen: [\n", "line 1: this is not YAML: did not find expected node content"},
		"a tab": {
			"identities:\n\t- name: x\n", "line 2: this is not YAML: found character that cannot start any token",
		},
		"two documents": {
			good + "---\nlisten: x\n", "line 24: the file has more than one document",
		},
		"an alias": {
			"listen: &a x\nsocket: *a\n",
			"line 1: anchors (&) and aliases (*) aren't taken: write the value, in quotes if it begins so",
		},
		"all at once": {
			`listn: 127.0.0.1:1
socket:
  path: x
audit:
identities:
  - nme: billing
    client_secret: hunter2
    hunter2 hunter2: x
    tenant: [a]
    tenant: b
    scopes: {}
    callers:
      - user: a
        group: b
      - x
      - anyone_on_socket: yes
      - name: x
`,
			`line 1: the file has no key listn: did you mean listen?
line 3: socket must be a single value
line 4: audit is empty
line 6: an identity has no key nme: did you mean name?
line 6: the identity has no name
line 6: the identity has no client_id
line 6: the identity has no certificate
line 6: the identity has no scopes: nobody could be given anything
line 7: an identity has no key client_secret: a secret stands in a file, which password_file or secret_file names
line 8: an identity has an unknown key
line 9: tenant must be a single value
line 10: tenant comes twice
line 11: scopes must be a list: lines that begin with -
line 14: a caller is either user or group: begin another with a -
line 15: a caller must be a mapping of keys and values
line 16: anyone_on_socket must be true, or be left out
line 17: the caller has none of secret_file, user, group, anyone_on_socket`,
		},
		"control characters": {
			strings.Replace(good, "app.pem", `"app\n.pem"`, 1),
			"line 9: certificate has a line end or another control character",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.text))
			require.Error(t, err)
			assert.Equal(t, tt.want, err.Error())
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// A file can't take all memory.
func TestLargeFile(t *testing.T) {
	_, err := Parse([]byte("listen: [" + strings.Repeat("a,", 100_000) + "a]\n"))
	require.ErrorContains(t, err, "too many values")
	_, err = Parse([]byte(strings.Repeat("[", 100_000)))
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("identities: [{name: a, callers: [{user: b}]}]"))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		require.NotEmpty(t, file.Identities)
		for _, id := range file.Identities {
			require.NotEmpty(t, id.Name.Text)
			require.NotEmpty(t, id.Scopes)
			require.NotEmpty(t, id.Callers)
		}
	})
}
