//go:build !windows

package tpm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// commandLimit is how long a TPM in software may take for a command. A slow chip takes up to
// a minute to find the primes of a key; for devices the kernel has limits of its own.
const commandLimit = 2 * time.Minute

// defaultDevice prefers the device with a resource manager.
func defaultDevice() string {
	const shared, direct = "/dev/tpmrm0", "/dev/tpm0"
	if _, err := os.Stat(shared); err != nil {
		if _, err := os.Stat(direct); err == nil {
			return direct
		}
	}
	return shared
}

// absolute is a path whatever folder the program is in later; without one it is the default.
func absolute(path string) string {
	if path == "" {
		return defaultDevice()
	}
	folder, err := os.Getwd()
	if filepath.IsAbs(path) || err != nil {
		return path
	}
	return folder + "/" + path // filepath.Abs takes "link/.." for nothing, which it isn't
}

// resolved is a path without symbolic links, if it leads somewhere.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// openTransport opens a device or a socket.
func openTransport(path string) (transport.TPMCloser, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return linuxtpm.Open(path)
	}
	conn, err := dial(path)
	if err != nil {
		return nil, err
	}
	return &socket{conn}, nil
}

// dial connects to a socket. A TPM in software has one client at a time, and refuses another
// while it lets the one before go.
func dial(path string) (net.Conn, error) {
	for pause := time.Millisecond; ; pause *= 2 {
		conn, err := net.DialTimeout("unix", path, 10*time.Second)
		if !errors.Is(err, syscall.EAGAIN) || pause > time.Second {
			return conn, err
		}
		time.Sleep(pause)
	}
}

// socket is a TPM in software behind a Unix socket, which carries commands and answers as a
// device does.
type socket struct{ net.Conn }

// Send sends a command and reads the answer, whose header tells its length (TPM 2.0 Part 1,
// §18.2).
func (s *socket) Send(command []byte) ([]byte, error) {
	const header, most = 10, 16 << 10
	if err := s.SetDeadline(time.Now().Add(commandLimit)); err != nil {
		return nil, err
	}
	if _, err := s.Write(command); err != nil {
		return nil, err
	}
	answer := make([]byte, header)
	if _, err := io.ReadFull(s, answer); err != nil {
		return nil, fmt.Errorf("reading the TPM's answer: %w", err)
	}
	size := binary.BigEndian.Uint32(answer[2:])
	if size < header || size > most {
		return nil, errors.New("the TPM's answer has an impossible length")
	}
	answer = append(answer, make([]byte, size-header)...)
	if _, err := io.ReadFull(s, answer[header:]); err != nil {
		return nil, fmt.Errorf("reading the TPM's answer: %w", err)
	}
	return answer, nil
}
