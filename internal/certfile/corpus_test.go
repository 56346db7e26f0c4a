package certfile_test

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/certfile"
)

var update = flag.Bool("update", false, "write testdata/FORMATS.md anew")

// corpusCase is an entry of testdata/corpus.json, which testdata/make-corpus.sh
// writes.
type corpusCase struct {
	Name        string
	Tool        string // "openssl 3.0.19": producer and version
	Synthesised bool   // in the producer's structure, by testdata/make/synth
	Class       string // everyday or rare
	Slow        bool   // hundreds of thousands of rounds: left out by -short
	Kind        string // PFX, PEM, DER or other
	Format      string // family, a row of the table
	What        string
	File        string
	KeyFile     string
	Password    *string // nil: none is given
	Thumbprint  string
	Leaf        string   // SHA-256 of the DER form
	Chain       []string // nearest first
	Key         string   // SHA-256 of an RSA modulus, an EC point without compression, an Ed25519 public key
	Error       string   // sentinel, instead of the three
	Message     string   // must be part of the error's text
}

var sentinels = map[string]error{
	"ErrWrongPassword":    certfile.ErrWrongPassword,
	"ErrPasswordRequired": certfile.ErrPasswordRequired,
	"ErrNoPrivateKey":     certfile.ErrNoPrivateKey,
	"ErrNoCertificate":    certfile.ErrNoCertificate,
	"ErrKeyMismatch":      certfile.ErrKeyMismatch,
	"ErrKeySize":          certfile.ErrKeySize,
	"ErrSeveralKeys":      certfile.ErrSeveralKeys,
	"ErrUnsupported":      certfile.ErrUnsupported,
	"ErrFormat":           certfile.ErrFormat,
	"ErrTooLarge":         certfile.ErrTooLarge,
}

func corpus(t testing.TB) []corpusCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus.json"))
	require.NoError(t, err)
	var cases []corpusCase
	require.NoError(t, json.Unmarshal(data, &cases))
	return cases
}

func corpusFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "corpus", name))
	require.NoError(t, err)
	return data
}

// parse reads a case's file the way a user would.
func (c corpusCase) parse(t testing.TB) (*certfile.Pair, error) {
	t.Helper()
	opts := certfile.Options{Thumbprint: c.Thumbprint}
	if c.Password != nil {
		opts.Password, opts.HasPassword = *c.Password, true
	}
	if c.KeyFile != "" {
		opts.Key = corpusFile(t, c.KeyFile)
	}
	return certfile.ReadOnce(corpusFile(t, c.File), opts)
}

// forbidden says that FIPS 140 mode (GODEBUG=fips140=only) doesn't allow what a
// file needs. Then a clear error is all that's asked for.
func forbidden(err error) bool {
	return fips140.Enforced() && errors.Is(err, certfile.ErrUnsupported)
}

func TestCorpus(t *testing.T) {
	t.Parallel()
	for _, c := range corpus(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			if c.Slow && testing.Short() {
				t.Skip("takes long")
			}
			pair, err := c.parse(t)
			if forbidden(err) {
				t.Skip(err)
			}
			if c.Error != "" {
				sentinel, ok := sentinels[c.Error]
				require.Truef(t, ok, "no sentinel %s", c.Error)
				require.Nil(t, pair, c.What)
				require.ErrorIs(t, err, sentinel, c.What)
				if !fips140.Enforced() { // there no SHA-1 thumbprint can be named
					require.Contains(t, err.Error(), c.Message, c.What)
				}
				if c.Password != nil && len(*c.Password) > 3 {
					require.NotContains(t, err.Error(), *c.Password, "the error tells the password")
				}
				return
			}
			require.NoError(t, err, c.What)
			chain := []string{}
			for _, ca := range pair.Chain {
				chain = append(chain, fingerprint(ca))
			}
			assert.Equal(t, c.Leaf, fingerprint(pair.Leaf), "leaf: got %s (%s)", pair.Leaf.Subject, c.What)
			assert.Equal(t, append([]string{}, c.Chain...), chain, "chain (%s)", c.What)
			assert.Equal(t, c.Key, keyDigest(t, pair.Key), "key (%s)", c.What)
			if key, ok := pair.Key.(*rsa.PrivateKey); ok {
				assert.NoError(t, key.Validate())
			}
			assert.Equal(t, pair.Leaf.PublicKey, pair.Key.Public(), "the key isn't the leaf's")
			assert.Equal(t, c.Kind, pair.Format)
			deviates := slices.ContainsFunc(pair.Deviations, func(text string) bool {
				return !strings.HasPrefix(text, "left out: ")
			})
			assert.Equal(t, c.Format == "certificates that deviate", deviates, "%v", pair.Deviations)
		})
	}
}

// TestCorpusSwapped gives the two files of a pair in the other order.
func TestCorpusSwapped(t *testing.T) {
	t.Parallel()
	for _, c := range corpus(t) {
		if c.KeyFile == "" || c.Error != "" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.File, c.KeyFile = c.KeyFile, c.File
			pair, err := c.parse(t)
			if forbidden(err) {
				t.Skip(err)
			}
			require.NoError(t, err)
			assert.Equal(t, c.Leaf, fingerprint(pair.Leaf))
			assert.Len(t, pair.Chain, len(c.Chain))
		})
	}
}

func TestCorpusIsWhole(t *testing.T) {
	t.Parallel()
	cases := corpus(t)
	assert.GreaterOrEqual(t, len(cases), 120)

	used := map[string]bool{}
	tools := map[string]bool{}
	ends := map[string]bool{}
	for _, c := range cases {
		used[c.File] = true
		if c.KeyFile != "" {
			used[c.KeyFile] = true
		}
		if !c.Synthesised {
			tools[c.tool()] = true
		}
		ends[c.Error] = true
		assert.Contains(t, []string{"everyday", "rare"}, c.Class, c.Name)
		assert.Contains(t, []string{"PFX", "PEM", "DER", "other"}, c.Kind, c.Name)
		assert.NotEmpty(t, c.Format, c.Name)
		assert.NotEmpty(t, c.What, c.Name)
	}
	entries, err := os.ReadDir(filepath.Join("testdata", "corpus"))
	require.NoError(t, err)
	var size int64
	for _, entry := range entries {
		assert.True(t, used[entry.Name()], "no case uses %s", entry.Name())
		info, err := entry.Info()
		require.NoError(t, err)
		size += info.Size()
	}
	assert.Less(t, size, int64(7<<18), "the corpus has grown too large")
	for _, tool := range []string{"openssl", "keytool", "certtool", "pk12util", "node-forge", "BouncyCastle"} {
		assert.True(t, tools[tool], "no file by %s", tool)
	}
	for name := range sentinels {
		assert.True(t, ends[name], "no case ends in %s", name)
	}
}

// TestFormatsTable keeps testdata/FORMATS.md the table of what the corpus
// proves. go test ./internal/certfile -run TestFormatsTable -update
func TestFormatsTable(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "FORMATS.md")
	table := formatsTable(corpus(t))
	if *update {
		require.NoError(t, os.WriteFile(path, table, 0o644))
		return
	}
	current, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(table), string(current), "run the test with -update")
}

// tool is the producer without its version.
func (c corpusCase) tool() string {
	words := strings.Fields(c.Tool)
	if last := len(words) - 1; last > 0 && words[last][0] >= '0' && words[last][0] <= '9' {
		words = words[:last]
	}
	return strings.Join(words, " ")
}

// formatsTable renders what the corpus holds: for each kind of file the families
// by producer, and then what is refused with which error.
func formatsTable(cases []corpusCase) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!-- Written by TestFormatsTable -update from corpus.json; don't edit. -->\n\n# Formats\n\n")
	fmt.Fprintf(&b, "%d cases. A number counts the cases that are read with the right leaf, chain and key; "+
		"a star means synthesised in the structure of that producer.\n", len(cases))
	for _, kind := range []string{"PFX", "PEM", "DER"} {
		writeRead(&b, kind, cases)
	}
	writeRefused(&b, cases)
	return b.Bytes()
}

// writeRead is the table of one kind: a row a family, a column a producer.
func writeRead(b *bytes.Buffer, kind string, cases []corpusCase) {
	type count struct{ real, synthesised int }
	cells := map[[2]string]count{} // family, producer
	families := map[string]bool{}
	totals := map[string]int{}
	for _, c := range cases {
		if c.Error != "" || c.Kind != kind {
			continue
		}
		at := [2]string{c.Format, c.tool()}
		n := cells[at]
		if c.Synthesised {
			n.synthesised++
		} else {
			n.real++
		}
		cells[at] = n
		families[c.Format] = true
		totals[c.tool()]++
	}
	tools := slices.SortedFunc(maps.Keys(totals), func(x, y string) int {
		return cmp.Or(cmp.Compare(totals[y], totals[x]), strings.Compare(x, y))
	})
	fmt.Fprintf(b, "\n## %s\n\n| | %s |\n|---|%s\n", kind, strings.Join(tools, " | "),
		strings.Repeat("---|", len(tools)))
	for _, family := range slices.Sorted(maps.Keys(families)) {
		fmt.Fprintf(b, "| %s |", family)
		for _, tool := range tools {
			var parts []string
			n := cells[[2]string{family, tool}]
			if n.real > 0 {
				parts = append(parts, fmt.Sprint(n.real))
			}
			if n.synthesised > 0 {
				parts = append(parts, fmt.Sprintf("%d\\*", n.synthesised))
			}
			fmt.Fprintf(b, " %s |", strings.Join(parts, " + "))
		}
		fmt.Fprintln(b)
	}
}

// writeRefused is the table of errors and the families they come from.
func writeRefused(b *bytes.Buffer, cases []corpusCase) {
	counts := map[string]int{}
	families := map[string]map[string]bool{}
	for _, c := range cases {
		if c.Error == "" {
			continue
		}
		counts[c.Error]++
		if families[c.Error] == nil {
			families[c.Error] = map[string]bool{}
		}
		families[c.Error][c.Format] = true
	}
	fmt.Fprintf(b, "\n## Refused\n\n| error | cases | of |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(b, "| `%s` | %d | %s |\n", name, counts[name],
			strings.Join(slices.Sorted(maps.Keys(families[name])), "; "))
	}
}

// keyDigest is what corpusCase.Key holds.
func keyDigest(t *testing.T, key crypto.Signer) string {
	t.Helper()
	var public []byte
	switch key := key.Public().(type) {
	case *rsa.PublicKey:
		public = key.N.Bytes()
	case *ecdsa.PublicKey:
		var err error
		public, err = key.Bytes()
		require.NoError(t, err)
	case ed25519.PublicKey:
		public = key
	}
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:])
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
