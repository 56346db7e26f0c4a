package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/input"
)

const (
	// envAgentConfig names the agent's configuration file where --config isn't given.
	envAgentConfig = "CERTTOKEN_AGENT_CONFIG"

	// envAgent names the socket of an agent that is asked in place of a server.
	envAgent = "CERTTOKEN_AGENT"

	// defaultAgentListen is where the agent listens if the flags name no other place.
	defaultAgentListen = "127.0.0.1:40400"
)

// maxAgentConfig is more than any configuration needs.
const maxAgentConfig = 1 << 20

// agentConfigPath finds the configuration file: the flag's, the variable's, or the first
// of the usual places that has one.
func agentConfigPath(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if name := os.Getenv(envAgentConfig); name != "" {
		return name, nil
	}
	places := []string{"agent.yaml"}
	if dir, err := os.UserConfigDir(); err == nil {
		places = append(places, filepath.Join(dir, "certtoken", "agent.yaml"))
	}
	places = append(places, "/etc/certtoken/agent.yaml")
	for _, place := range places {
		if info, err := os.Stat(place); err == nil && info.Mode().IsRegular() {
			return place, nil
		}
	}
	return "", failure.Usagef("no configuration of the agent").
		Advise("Give --config FILE, or set " + envAgentConfig + ". Without them, these are looked for:").
		Advise(places...)
}

// readTrusted reads a file that decides who is given tokens. Nobody but root and this
// user may be able to change it. With secret, others must not be able to read it either;
// its group may, because that is how a program shares its secret with the agent. What
// was given as a secret's file may be the secret itself, so no error repeats it.
func readTrusted(ctx context.Context, name string, limit int64, secret bool) ([]byte, error) {
	data, err := readChecked(name, limit, secret)
	var errno syscall.Errno
	switch {
	case ctx.Err() != nil:
		return nil, failure.ErrInterrupted
	case err == nil:
		return data, nil
	case !secret && errors.As(err, &errno):
		return nil, failure.Errorf("%w", failure.File(err))
	case !secret:
		return nil, failure.Errorf("%s: %w", name, err)
	case errors.As(err, &errno):
		return nil, failure.Errorf("this file can't be read: %w", errno)
	}
	return nil, failure.Errorf("this file: %w", err)
}

func readChecked(name string, limit int64, secret bool) ([]byte, error) {
	file, err := os.OpenFile(name, os.O_RDONLY|openNoWait, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("this is not a file")
	}
	if err := checkTrust(info, secret); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%w: it has over %d bytes", input.ErrTooLarge, limit)
	}
	return data, err
}

func checkTrust(info fs.FileInfo, secret bool) error {
	mode := info.Mode().Perm()
	switch {
	case !ownedSafely(info):
		return errors.New("it belongs to another user, who could change it")
	case !modesCount:
		return nil
	case mode&0o022 != 0:
		return errors.New("others may write into it: chmod go-w")
	case secret && mode&0o007 != 0:
		return errors.New("everybody may read it: chmod o-rwx")
	}
	return nil
}

// readSecret reads a caller's secret.
func readSecret(ctx context.Context, name string) (string, error) {
	data, err := readTrusted(ctx, name, maxPasswordFile, true)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(input.Text(data)), nil
}

// newSecret makes a secret of 256 bits.
func newSecret() string {
	var bits [32]byte
	_, _ = rand.Read(bits[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(bits[:])
}

// besideConfig is a path of the configuration file. It is relative to that file's
// folder. systemd hands over secrets in a folder that the file can't know.
func besideConfig(config, path string) string {
	const credentials = "$CREDENTIALS_DIRECTORY"
	if rest, ok := strings.CutPrefix(path, credentials+"/"); ok && os.Getenv(credentials[1:]) != "" {
		return filepath.Join(os.Getenv(credentials[1:]), rest)
	}
	if config == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(config), path)
}
