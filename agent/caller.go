package agent

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/syntax"
)

// minSecretBits is how many bits a caller's secret must have. Guessing is slowed down
// but nobody is locked out, so the secret alone must withstand it.
const minSecretBits = 128

// maxSecret is more than any secret needs.
const maxSecret = 1024

// overflowUser is the user, and the group, by which the kernel names those of a
// container that it has no number for (Linux, /proc/sys/kernel/overflowuid). It is
// no one in particular.
const overflowUser = 65534

// Caller is who may ask for the tokens of an identity. Make one with [Secret], [User],
// [Group] or [AnyoneOnSocket]; [New] reports what is wrong with it. A Caller is
// read-only, and no printing verb, logger or encoder shows its secret.
type Caller struct {
	name  string
	knows func(asker) bool // nil: the zero Caller, which is a mistake
	err   error
}

// Secret is a caller who knows this secret. It comes as the header X-IDENTITY-HEADER or
// as the client secret of OAuth. White space around it, as a file's last line has it,
// isn't part of it. It must have at least 128 bits, such as 32 hexadecimal digits made
// at random. The name is for the audit log.
func Secret(name, secret string) Caller {
	c := Caller{name: name}
	trimmed := strings.TrimSpace(secret)
	if c.err = checkSecret(trimmed); c.err != nil {
		return c
	}
	digest := sha256.Sum256([]byte(trimmed))
	c.knows = func(a asker) bool {
		return slices.ContainsFunc(a.secrets, func(shown [sha256.Size]byte) bool {
			// Digests have one length, so the time shows nothing of the secret's.
			return subtle.ConstantTimeCompare(shown[:], digest[:]) == 1
		})
	}
	return c
}

// User is a caller on a Unix socket whose process runs as this user, by its number. It
// is the effective user at the time at which the connection was made. Systems other
// than Linux don't say it.
func User(name string, uid uint32) Caller {
	return peerCaller(name, "user", uid, func(p Peer) bool { return p.UID == uid })
}

// Group is a caller on a Unix socket whose process has this group, by its number, as its
// effective or a supplementary group.
func Group(name string, gid uint32) Caller {
	return peerCaller(name, "group", gid, func(p Peer) bool { return p.GID == gid || slices.Contains(p.Groups, gid) })
}

func peerCaller(name, kind string, id uint32, is func(Peer) bool) Caller {
	c := Caller{name: name}
	switch {
	case !knowsPeers:
		c.err = fmt.Errorf("this system doesn't say which %s asks: use AnyoneOnSocket and the socket's mode", kind)
	case id == overflowUser:
		c.err = fmt.Errorf("%s %d stands for everybody whom the kernel has no number for: name another", kind, id)
	case id == math.MaxUint32:
		c.err = fmt.Errorf("%s %d is no %s", kind, id, kind)
	default:
		c.knows = func(a asker) bool { return a.peer != nil && is(*a.peer) }
	}
	return c
}

// AnyoneOnSocket is everybody who can connect to the Unix socket. The socket's mode, and who
// may enter its folder, decide that. It is for systems that don't say who asks.
func AnyoneOnSocket(name string) Caller {
	return Caller{name: name, knows: func(a asker) bool { return a.onSocket }}
}

// String names the caller.
func (c Caller) String() string { return "agent.Caller(" + c.name + ")" }

// Format prints c as String does, whatever the verb.
func (c Caller) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, c.String()) }

// MarshalText makes encoders write c as String does.
func (c Caller) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Check returns what is wrong with the caller, or nil. [New] tells it too.
func (c Caller) Check() error {
	switch {
	case c.err != nil:
		return fmt.Errorf("caller %q: %w", c.name, c.err)
	case c.knows == nil:
		return errors.New("a caller is empty: make it with Secret, User, Group or AnyoneOnSocket")
	case c.name == "":
		return errors.New("a caller has no name for the audit log")
	}
	return nil
}

// asker is what is known about who asks.
type asker struct {
	secrets  [][sha256.Size]byte
	onSocket bool
	peer     *Peer // nil: the system doesn't say it
}

func (a *asker) offer(secrets []string) {
	for _, secret := range secrets {
		if len(secret) <= maxSecret {
			a.secrets = append(a.secrets, sha256.Sum256([]byte(secret)))
		}
	}
}

// checkSecret refuses a secret that could be guessed. It assumes the smallest alphabet
// that the secret can be made of, and that it was made at random, which nobody can see.
func checkSecret(secret string) error {
	if len(secret) > maxSecret || !syntax.IsVisible(secret) {
		return fmt.Errorf("the secret has over %d bytes, or something else than printable ASCII", maxSecret)
	}
	alphabet := 10.0
	distinct := map[rune]bool{}
	for _, r := range secret {
		distinct[r] = true
		switch {
		case r >= '0' && r <= '9':
		case r >= 'a' && r <= 'f' || r >= 'A' && r <= 'F':
			alphabet = max(alphabet, 16)
		default:
			alphabet = max(alphabet, 64)
		}
	}
	if bits := float64(len(secret)) * math.Log2(alphabet); bits < minSecretBits {
		return fmt.Errorf("the secret has at most %.0f bits, and %d are needed: make it at random, "+
			"of at least 32 hexadecimal digits or 22 letters and digits", bits, minSecretBits)
	}
	const fewest = 8 // 32 random hexadecimal digits have fewer in one of a billion cases
	if len(distinct) < fewest {
		return fmt.Errorf("the secret has %d different characters only: make it at random", len(distinct))
	}
	return nil
}
