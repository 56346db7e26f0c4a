package main

import (
	"maps"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/azureenv"
)

// secretCase is a command line and what it may show.
type secretCase struct {
	name   string
	args   string // words, in which ␣ is a blank
	env    []string
	stdin  string
	status int
	fault  string // what the endpoint does: a key of endpointFaults
	shows  string // what was asked for: it is in the output, and nowhere else
	made   string // a PFX under outPassword that holds a new key
	says   string // part of the output, to know that the case is what it says
}

// endpointFault is a way of the endpoint to fail.
type endpointFault struct {
	status int // the command's
	fault  func(*certtokentest.Request) *certtokentest.Fault
}

// always is a fault for every request.
func always(fault certtokentest.Fault) func(*certtokentest.Request) *certtokentest.Fault {
	return func(*certtokentest.Request) *certtokentest.Fault { return &fault }
}

// endpointFaults are ways of the endpoint to fail, one of them with all that it
// was sent in its answer.
var endpointFaults = map[string]endpointFault{
	"refuses": {statusRefused, always(certtokentest.Fault{Code: 700027})},
	"echoes": {statusRefused, func(r *certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion + " and " + r.Form.Encode()}
	}},
	"throttles":           {statusTemporary, always(certtokentest.Throttle(0))},
	"cuts the token off":  {statusFailure, always(certtokentest.Fault{Shape: certtokentest.TruncatedBody})},
	"sends a page":        {statusFailure, always(certtokentest.Fault{Shape: certtokentest.HTML})},
	"grants another type": {statusFailure, always(certtokentest.Fault{Fields: map[string]any{"token_type": "mac"}})},
}

// askCases are those of the commands that deal with an endpoint.
func askCases() []secretCase {
	var cases []secretCase
	for _, command := range []struct {
		args, shows string
		offline     bool
		oneStatus   bool // it fails with the same exit status whatever is wrong
		more        bool // it also meets what takes its time, and what is the same for all commands
	}{
		{args: "token", shows: theToken},
		{args: "token --verbose", shows: theToken, more: true},
		{args: "token --json", shows: theToken},
		{args: "token --header", shows: theToken},
		{args: "token --mtls -v", shows: theToken},
		{args: "token --output env", shows: theToken},
		{args: "token --output exec-credential", shows: theToken},
		{args: "token --cache", shows: theToken},
		{args: "rotate --dry-run --jwks set.json"},
		{args: "rotate --dry-run --json --verbose --exec true"},
		{args: "doctor", oneStatus: true},
		{args: "doctor --verbose --cer public.cer", oneStatus: true, more: true},
		{args: "doctor --json", oneStatus: true, more: true},
		{args: "assertion", shows: theAssertion, offline: true},
		{args: "assertion -v --curl --reveal", shows: theAssertion, offline: true},
		{args: "assertion --curl", offline: true},
		{args: "assertion --decode", offline: true},
	} {
		with := func(c secretCase) {
			if command.oneStatus && c.status != statusDone && c.status != statusUsage {
				c.status = statusFailure
			}
			c.args = strings.TrimSpace(command.args + " " + c.args)
			c.name = c.args + ", " + c.name
			cases = append(cases, c)
		}
		with(secretCase{name: "success", args: "$TARGET", shows: command.shows})
		with(secretCase{name: "password by name", args: "$TARGET --password-env P",
			env: []string{"P=" + filePassword, envPassword + "=" + wrongPassword}, shows: command.shows})
		with(secretCase{name: "password from a file", args: "$TARGET --password-file password", shows: command.shows})
		with(secretCase{name: "wrong password", args: "$TARGET", env: []string{envPassword + "=" + wrongPassword},
			status: statusCertificate, says: "wrong password"})
		with(secretCase{name: "no password", args: "$TARGET", env: []string{envPassword + "="},
			status: statusCertificate, says: "password"})
		with(secretCase{name: "another's key", args: "$TARGET --cert public.cer --key other.key",
			status: statusCertificate, says: "key"})
		with(secretCase{name: "broken file", args: "$TARGET --cert broken.pem", status: statusCertificate})
		with(secretCase{name: "key alone", args: "$TARGET --cert other.key", status: statusCertificate})
		with(secretCase{name: "cut PFX", args: "$TARGET --cert cut.pfx", status: statusCertificate})
		with(secretCase{name: "password as a flag", args: "$TARGET --password " + flagPassword,
			status: statusUsage, says: "no flag --password"})
		with(secretCase{name: "password as a flag with =", args: "$TARGET --passwort=" + flagPassword,
			status: statusUsage})
		with(secretCase{name: "password as a short flag", args: "$TARGET -p" + flagPassword,
			status: statusUsage, says: "no flag -p"})
		with(secretCase{name: "password instead of a variable", args: "$TARGET --password-env " + flagPassword,
			status: statusUsage, says: "not set"})
		with(secretCase{name: "password as an argument", args: "$TARGET " + flagPassword, status: statusUsage,
			says: " no "}) // no arguments, or no such command
		with(secretCase{name: "password in the endpoint's URL",
			args: "$TARGET --token-url https://user:" + urlPassword + "@127.0.0.1:1/", status: statusUsage})
		with(secretCase{name: "password in the authority",
			args:   "$TARGET --authority https://user:" + urlPassword + "@idp.example --token-url=",
			status: statusUsage})
		with(secretCase{name: "password in an authority of no kind",
			args: "$TARGET --authority ldap://user:" + urlPassword + "@idp.example", status: statusUsage,
			says: "--authority has a user or a password"})
		with(secretCase{name: "password in a mistaken URL",
			args:   "$TARGET --token-url https://user:" + urlPassword + "%zz@idp.example/",
			status: statusUsage})
		for name, args := range map[string]string{
			"the tenant":            "--tenant //u:" + urlPassword + "@h/t",
			"a tenant's query":      "--tenant contoso.com?client_secret=" + urlPassword,
			"an authority's query":  "--authority https://h/?client_secret=" + urlPassword,
			"what no authority is":  "--authority idp#" + urlPassword,
			"the endpoint's part #": "--authority entra --token-url https://h/t#" + urlPassword,
		} {
			with(secretCase{name: "password in " + name, args: "--client-id app --cert private.pfx --scope s " + args,
				status: statusUsage})
		}
		with(secretCase{name: "password in the cloud's query",
			args:   "--client-id app --cert private.pfx --tenant contoso.com --scope s",
			env:    []string{azureenv.AuthorityHost + "=https://login.example/?client_secret=" + urlPassword},
			status: statusUsage, says: "is not the https URL of a host"})
		with(secretCase{name: "password instead of its file", args: "$TARGET --password-file " + flagPassword,
			status: statusFailure, says: "can't be read"})
		with(secretCase{name: "password instead of its file, a path",
			args:   "$TARGET --password-file public.cer/" + flagPassword,
			status: statusFailure, says: "can't be read"})
		with(secretCase{name: "password in the cloud's URL",
			args:   "--client-id app --cert private.pfx --tenant contoso.com --scope s",
			env:    []string{azureenv.AuthorityHost + "=https://user:" + urlPassword + "@login.example/"},
			status: statusUsage, says: "AZURE_AUTHORITY_HOST has a user or a password"})
		if command.offline {
			continue
		}
		with(secretCase{name: "another's certificate", args: "$TARGET --cert other.pfx", status: statusRefused,
			says: "AADSTS700027"})
		with(secretCase{name: "endpoint refuses", args: "$TARGET", fault: "refuses", status: statusRefused,
			says: "AADSTS700027"})
		with(secretCase{name: "endpoint echoes", args: "$TARGET", fault: "echoes", status: statusRefused,
			says: "you sent"})
		with(secretCase{name: "untrusted", args: "$TARGET --ca public.pem", status: statusFailure,
			says: "authority"})
		if !command.more {
			continue
		}
		for name, value := range map[string]string{
			"without a scheme":  "user:" + urlPassword + "@idp.example/token",
			"with a blank":      "https://user:a␣" + urlPassword + "@idp.example/token",
			"with a quote":      `https://user:"` + urlPassword + `"@idp.example/token`,
			"with a slash":      "https://user:a/" + urlPassword + "@idp.example/token",
			"without a user":    urlPassword + "@idp.example",
			"behind adfs":       "adfs:user:" + urlPassword + "@sts.example",
			"and a port number": "https://user:1/" + urlPassword + "@idp.example/token",
		} {
			with(secretCase{name: "password in the endpoint's URL " + name, args: "$TARGET --token-url " + value,
				status: statusUsage, says: "--token-url has a user or a password"})
			with(secretCase{name: "password in the authority " + name, args: "$TARGET --authority=" + value,
				status: statusUsage, says: "--authority has a user or a password"})
			// No flag's error repeats a value that it can't take.
			with(secretCase{name: "password elsewhere " + name, args: "$TARGET --timeout " + value,
				status: statusUsage, says: "give a duration"})
		}
		with(secretCase{name: "unreachable", args: "$TARGET --token-url https://127.0.0.1:1/",
			status: statusTemporary, says: "refused"})
		proxied := "--client-id app --cert private.pfx --tenant contoso.com --scope s"
		with(secretCase{name: "unreachable proxy", args: proxied,
			env: []string{"HTTPS_PROXY=http://user:" + proxyPassword + "@127.0.0.1:1"}, status: statusTemporary,
			says: "refused"})
		with(secretCase{name: "mistaken proxy", args: proxied,
			env: []string{"HTTPS_PROXY=user:" + proxyPassword + "#@127.0.0.1:1"}, status: statusTemporary,
			says: "proxyconnect"})
		for _, fault := range slices.Sorted(maps.Keys(endpointFaults)) {
			with(secretCase{name: "endpoint " + fault, args: "$TARGET", fault: fault,
				status: endpointFaults[fault].status})
		}
	}
	return cases
}

// certCases are those of the commands that deal with files, and of the rest.
func certCases(granted string) []secretCase {
	header, rest, _ := strings.Cut(granted, ".")
	payload, _, _ := strings.Cut(rest, ".")
	return []secretCase{
		{name: "new", args: "cert new --subject s --password-env OUT --out new1", made: "new1/private.pfx"},
		{name: "new, with the key in a PEM", args: "cert new --subject s --password-env OUT --out new2 --pem --json",
			made: "new2/private.pfx"},
		{name: "new, old form", args: "cert new --subject s --password-file out-password --out new3 --legacy",
			made: "new3/private.pfx"},
		{name: "new, exists", args: "cert new --subject s --password-env OUT --out .", status: statusFailure,
			says: "exist"},
		{name: "new, nowhere", args: "cert new --subject s --password-env OUT --out private.pfx/x",
			status: statusFailure},
		{name: "new, weak key", args: "cert new --subject s --password-env OUT --key-bits 1024 --out new4",
			status: statusUsage},
		{name: "new, password as a flag", args: "cert new --subject s --password=" + flagPassword,
			status: statusUsage, says: "no flag --password"},
		{name: "new, password as an argument", args: "cert new --subject s " + flagPassword,
			status: statusUsage},
		{name: "new, EC key", args: "cert new --subject s --key ec --password-env OUT --out new6 --pem",
			made: "new6/private.pfx"},
		{name: "new, Ed25519 key", args: "cert new --subject s --key ed25519 --password-env OUT --out new7 --json",
			made: "new7/private.pfx"},
		{name: "new, password in a URI",
			args: "cert new --subject s --uri https://user:" + urlPassword +
				"@idp.example --password-env OUT --out new8",
			status: statusUsage, says: "has a user in it"},
		{name: "request", args: "cert csr --subject s --out csr1", made: "csr1/private.key"},
		{name: "request, EC key, as JSON", args: "cert csr --subject s --key ec --out csr2 --json",
			made: "csr2/private.key"},
		{name: "request of a pair", args: "cert csr private.pfx --out -"},
		{name: "request of a key alone", args: "cert csr app.key --subject s --out - --json"},
		{name: "request of a JWK", args: "cert csr app.jwk --subject s --out -"},
		{name: "request, wrong password", args: "cert csr private.pfx --out -",
			env: []string{envPassword + "=" + wrongPassword}, status: statusCertificate, says: "wrong password"},
		{name: "request, broken key", args: "cert csr broken.pem --out -", status: statusCertificate},
		{name: "JWKS", args: "jwks private.pfx", says: `"kid"`},
		{name: "JWKS of a PEM", args: "jwks pair.pem", says: `"kid"`},
		{name: "JWKS of a key alone", args: "jwks app.key", says: `"kid"`},
		{name: "JWKS of a JWK", args: "jwks app.jwk", says: `"kid"`},
		{name: "JWKS of a broken JWK", args: "jwks broken.jwk", status: statusCertificate},
		{name: "JWKS, broken key", args: "jwks broken.pem", status: statusCertificate},
		{name: "JWKS, cut", args: "jwks cut.pfx", status: statusCertificate},
		{name: "JWKS, wrong password", args: "jwks private.pfx", env: []string{envPassword + "=" + wrongPassword},
			status: statusCertificate, says: "wrong password"},
		{name: "JWKS, password as a flag", args: "jwks private.pfx --password " + flagPassword, status: statusUsage,
			says: "no flag --password"},
		{name: "show", args: "cert show private.pfx"},
		{name: "show as JSON", args: "cert show private.pfx --json"},
		{name: "show a PEM with its key", args: "cert show pair.pem"},
		{name: "show, key apart", args: "cert show public.pem --key app.key --json"},
		{name: "show, wrong password", args: "cert show private.pfx", env: []string{envPassword + "=" + wrongPassword},
			status: statusCertificate, says: "wrong password"},
		{name: "show, another's key", args: "cert show public.pem --key other.key", status: statusCertificate},
		{name: "show, broken key", args: "cert show broken.pem", status: statusCertificate},
		{name: "show, cut", args: "cert show cut.pfx", status: statusCertificate},
		{name: "show, key alone", args: "cert show app.key", status: statusCertificate},
		{name: "show, absent", args: "cert show absent", status: statusFailure},
		{name: "show, two arguments", args: "cert show private.pfx " + flagPassword, status: statusUsage},
		{name: "convert to PEM", args: "cert convert private.pfx converted.pem"},
		{name: "convert to PFX", args: "cert convert pair.pem converted.pfx --out-password-env OUT",
			made: "converted.pfx"},
		{name: "convert to an old PFX",
			args: "cert convert private.pfx old.pfx --legacy --out-password-file out-password", made: "old.pfx"},
		{name: "convert, wrong password", args: "cert convert private.pfx no.pem",
			env: []string{envPassword + "=" + wrongPassword}, status: statusCertificate},
		{name: "convert, exists", args: "cert convert private.pfx pair.pem", status: statusFailure,
			says: "exists"},
		{name: "convert, no form", args: "cert convert private.pfx out --out-password-env OUT",
			status: statusUsage},
		{name: "convert, password for a PEM", args: "cert convert private.pfx no.pem --out-password-env OUT",
			status: statusUsage},
		{name: "convert, password as a flag", args: "cert convert private.pfx no.pfx --out-password " + flagPassword,
			status: statusUsage},
		{name: "decode", args: "decode", stdin: granted},
		{name: "decode as JSON", args: "decode --json", stdin: "Authorization: Bearer " + granted},
		{name: "decode, two parts", args: "decode", stdin: header + "." + payload, status: statusFailure},
		{name: "decode, no JSON", args: "decode", stdin: payload[1:] + "." + rest, status: statusFailure},
		{name: "decode, encrypted", args: "decode", stdin: granted + "." + payload + "." + payload,
			status: statusFailure},
		{name: "decode, as an argument", args: "decode " + granted},
		{name: "decode, a broken one as an argument", args: "decode " + granted + ".", status: statusFailure},
		{name: "token instead of a file", args: "token $TARGET --subject-token " + flagPassword, status: statusFailure},
		{name: "token that can't be exchanged", args: "token $TARGET --subject-token -", stdin: granted,
			status: statusRefused},
		{name: "decode, two arguments", args: "decode " + granted + " " + granted, status: statusUsage},
		{name: "decode, as a flag", args: "decode --" + payload, status: statusUsage},
		{name: "no such command", args: granted, status: statusUsage},
		{name: "no such command, a password", args: flagPassword, status: statusUsage},
		{name: "serve, a key alone", args: "serve --client app=app.key", status: statusCertificate},
		{name: "serve, a cut PFX", args: "serve --client app=cut.pfx", status: statusCertificate},
		{name: "serve, password in the issuer",
			args:   "serve --client app=public.cer --issuer http://user:" + urlPassword + "@idp.example",
			status: statusUsage},
		{name: "serve, password in an issuer without a scheme",
			args:   "serve --client app=public.cer --issuer user:" + urlPassword + "@idp.example",
			status: statusUsage, says: "--issuer has a user or a password"},
		{name: "serve, password in a fault",
			args:   "serve --client app=public.cer --fail redirectt:https://user:" + urlPassword + "@idp.example",
			status: statusUsage, says: "is unknown"},
		{name: "serve, password in the address",
			args:   "serve --client app=public.cer --addr user:" + urlPassword + "@127.0.0.1:1",
			status: statusUsage},
		{name: "convert, password instead of its file",
			args: "cert convert private.pfx no.pfx --out-password-file " + flagPassword, status: statusFailure,
			says: "can't be read"},
		{name: "new, password instead of its file",
			args: "cert new --subject s --out new5 --password-file " + flagPassword, status: statusFailure,
			says: "can't be read"},
		{name: "agent, a secret instead of its file",
			args: "agent --client-id app --cert private.pfx --tenant contoso.com --scope s --secret-file " +
				flagPassword,
			status: statusUsage, says: "can't be read"},
		{name: "agent, a secret as a flag", args: "agent --secret=" + flagPassword, status: statusUsage,
			says: "no flag"},
		{name: "agent, a mistaken configuration", args: "agent --config pair.pem", status: statusUsage},
		{name: "agent check, a key", args: "agent check --config app.key", status: statusUsage},
		{name: "agent env, an argument", args: "agent env --config absent " + flagPassword, status: statusFailure},
		{name: "git-credential, an argument", args: "git-credential " + flagPassword,
			stdin: "password=" + flagPassword},
		{name: "version", args: "version"},
		{name: "reference", args: "reference"},
		{name: "completion", args: "completion bash"},
		{name: "help", args: "help token"},
		{name: "complete", args: "__complete token --cert private.pfx --alg "},
	}
}
