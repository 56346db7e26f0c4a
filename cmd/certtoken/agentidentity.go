package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/spf13/cobra"
)

// agentClient is an identity's client. It stays while what it was made of is the same,
// and with it the tokens in its cache.
type agentClient struct {
	client *certtoken.Client
	source *certtoken.FileSource
	used   bool
}

// agentClients makes the clients of identities, and keeps them from one configuration
// to the next.
type agentClients struct {
	console *console.Console
	log     *slog.Logger // nil: nothing is logged
	metrics *agentMetrics
	known   map[[sha256.Size]byte]*agentClient
}

func newAgentClients(c *console.Console, log *slog.Logger) *agentClients {
	return &agentClients{console: c, log: log, metrics: newAgentMetrics(), known: map[[sha256.Size]byte]*agentClient{}}
}

// agentSource is an identity as a configuration describes it.
type agentSource struct {
	name     string // of the identity
	config   string // the file's name, to which its paths are relative; "": flags
	settings map[string]string
	password password // of flags; a configuration has a password_file
}

// files are those that a change of makes the identity another.
func (s *agentSource) files() []string {
	var names []string
	for _, key := range []string{"password_file", "ca"} {
		if name := s.settings[key]; name != "" {
			names = append(names, name)
		}
	}
	return names
}

// pathSettings are the settings that name files.
var pathSettings = []string{"certificate", "key", "password_file", "ca"}

func newAgentSource(config string, id *agentfile.Identity) *agentSource {
	s := &agentSource{name: id.Name.Text, config: config, settings: map[string]string{}}
	for key, value := range id.Settings {
		s.settings[key] = value.Text
	}
	for _, key := range pathSettings {
		if s.settings[key] != "" {
			s.settings[key] = besideConfig(config, s.settings[key])
		}
	}
	return s
}

// get returns the client of an identity: the one from before, or a new one. No
// certificate is read: the agent starts also where one is missing yet, and its readiness
// says so.
func (c *agentClients) get(ctx context.Context, s *agentSource) (*agentClient, error) {
	if err := s.readPassword(ctx); err != nil {
		return nil, err
	}
	key, err := s.key(ctx)
	if err != nil {
		return nil, err
	}
	if known := c.known[key]; known != nil {
		known.used = true
		return known, nil
	}
	target, err := s.target(ctx, c.console)
	if err != nil {
		return nil, err
	}
	target.log = c.log
	counted, err := c.metrics.option(s.name)
	if err != nil {
		return nil, err
	}
	made := &agentClient{source: s.source(), used: true}
	if made.client, err = target.client(made.source, counted); err != nil {
		return nil, err
	}
	c.known[key] = made
	return made, nil
}

// readPassword reads the file that the settings name.
func (s *agentSource) readPassword(ctx context.Context) error {
	name := s.settings["password_file"]
	if name == "" || s.password.given() {
		return nil
	}
	data, err := readTrusted(ctx, name, maxPasswordFile, true)
	if err != nil {
		return failure.Errorf("password_file: %w", err)
	}
	s.password = newPassword(strings.TrimSuffix(strings.TrimSuffix(input.Text(data), "\n"), "\r"), name)
	return nil
}

// key stands for all that the client is made of.
func (s *agentSource) key(ctx context.Context) ([sha256.Size]byte, error) {
	parts := []any{s.name, s.settings, s.password.given()}
	if s.password.given() {
		parts = append(parts, sha256.Sum256([]byte(s.password.reveal())))
	}
	if name := s.settings["ca"]; name != "" {
		data, err := input.File(name, nil).Read(ctx)
		if err != nil {
			return [sha256.Size]byte{}, failure.Errorf("ca: %w", err)
		}
		parts = append(parts, sha256.Sum256(data))
	}
	text, err := json.Marshal(parts) // maps are sorted, and every text has its end
	return sha256.Sum256(text), err
}

// target makes the flags that the settings stand for, and resolves them. Variables of
// the environment are for one identity, so they count for the flags' and for none of a
// file.
func (s *agentSource) target(ctx context.Context, c *console.Console) (*target, error) {
	var flags targetFlags
	cmd := &cobra.Command{Use: "agent"}
	cmd.SetContext(ctx)
	flags.addTo(cmd)
	settings := map[string]string{"x5c": "false"}
	for key, value := range s.settings {
		settings[flagOfSetting(key)] = value
	}
	if s.config != "" && settings["authority"] == "" && settings["token-url"] == "" {
		settings["authority"] = "entra"
	}
	authority := settings["authority"]
	needsTenant := settings["token-url"] == "" && namesEntra(authority) && !namesTenant(authority)
	if needsTenant && settings["tenant"] == "" {
		return nil, failure.Usagef("missing --tenant: the tenant's GUID or domain")
	}
	delete(settings, "password-file") // it was read
	for name, value := range settings {
		if err := cmd.Flags().Set(name, value); err != nil {
			return nil, flagError(cmd, err)
		}
	}
	t, err := flags.describe(cmd, c, false)
	if err == nil && t.discovery != nil { // the agent starts without asking a server
		return nil, failure.Usagef("--authority %s also needs --token-url", t.discovery.issuer).
			Advise("The server's metadata name it as token_endpoint.")
	}
	return t, err
}

// source follows the certificate's files.
func (s *agentSource) source() *certtoken.FileSource {
	var opts []certtoken.CertOption
	if key := s.settings["key"]; key != "" {
		opts = append(opts, certtoken.WithKeyFile(key))
	}
	if thumbprint := s.settings["select"]; thumbprint != "" {
		opts = append(opts, certtoken.WithThumbprint(thumbprint))
	}
	if s.password.given() {
		opts = append(opts, certtoken.WithPassword(s.password.reveal()))
	}
	return certtoken.CertFile(s.settings["certificate"], opts...)
}

// flagOfSetting is the flag that a setting stands for.
func flagOfSetting(key string) string {
	if key == "certificate" {
		return "cert"
	}
	return strings.ReplaceAll(key, "_", "-")
}

var flagInText = lazyregexp.New(`--[a-z][a-z0-9-]*`)

// settingNames replaces the names of flags by those of settings, for an error about a
// file.
func settingNames(text string) string {
	return flagInText().ReplaceAllStringFunc(flagNames(text), func(flag string) string {
		if flag == "--cert" {
			return "certificate"
		}
		return strings.ReplaceAll(flag[2:], "-", "_")
	})
}

// caller makes a caller of the agent.
func (s *agentSource) caller(ctx context.Context, c agentfile.Caller) (agent.Caller, error) {
	name := c.Name.Text
	if name == "" {
		name = callerName(c)
	}
	switch c.Kind {
	case "secret_file":
		secret, err := readSecret(ctx, besideConfig(s.config, c.Value.Text))
		return agent.Secret(name, secret), err
	case "user":
		uid, err := idOf(c.Value.Text, userID)
		return agent.User(name, uid), err
	case "group":
		gid, err := idOf(c.Value.Text, groupID)
		return agent.Group(name, gid), err
	}
	return agent.AnyoneOnSocket(name), nil
}

// callerName is a caller's name in the audit log where it was given none.
func callerName(c agentfile.Caller) string {
	switch c.Kind {
	case "secret_file":
		return strings.TrimSuffix(filepath.Base(c.Value.Text), ".secret")
	case "anyone_on_socket":
		return "anyone on the socket"
	}
	return c.Kind + " " + c.Value.Text
}

// idOf is the number of a user or a group that is given by its number or name.
func idOf(text string, lookUp func(string) (string, error)) (uint32, error) {
	if id, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(id), nil
	}
	found, err := lookUp(text)
	if err != nil {
		return 0, failure.Errorf("%w", err)
	}
	id, err := strconv.ParseUint(found, 10, 32)
	if err != nil {
		return 0, errors.New("this system's users have no numbers: use secret_file or anyone_on_socket")
	}
	return uint32(id), nil
}

// close closes the clients. The process ends then, so what can't be closed doesn't
// matter.
func (c *agentClients) close() {
	for _, known := range c.known {
		_ = known.client.Close()
	}
}

// forgetUnused drops the clients that no identity uses any more. They aren't closed,
// because requests may be under way: an unused client costs nothing.
func (c *agentClients) forgetUnused() {
	for key, known := range c.known {
		if !known.used {
			delete(c.known, key)
		}
		known.used = false
	}
}

// keyIsOpen reports whether everybody on this machine may read the private key.
func keyIsOpen(s *agentSource) bool {
	name := s.settings["key"]
	if name == "" {
		name = s.settings["certificate"]
	}
	info, err := os.Stat(name)
	return err == nil && modesCount && info.Mode().Perm()&0o007 != 0
}

func userID(name string) (string, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return found.Uid, nil
}

func groupID(name string) (string, error) {
	found, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return found.Gid, nil
}
