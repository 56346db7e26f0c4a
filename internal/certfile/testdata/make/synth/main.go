// Synth finishes the corpus: it adds the files that no tool at hand writes, in
// the structure their producers give them, and writes the manifest. What a case
// expects is computed from the keys and certificates in make/pki by name.
package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Case is one entry of corpus.json.
type Case struct {
	Name        string   `json:"name"`
	Tool        string   `json:"tool"`
	Synthesised bool     `json:"synthesised,omitempty"`
	Class       string   `json:"class"` // everyday or rare
	Slow        bool     `json:"slow,omitempty"`
	Kind        string   `json:"kind"`   // PFX, PEM, DER or other
	Format      string   `json:"format"` // the family, a row of the table
	What        string   `json:"what"`
	File        string   `json:"file"`
	KeyFile     string   `json:"keyFile,omitempty"`
	Password    *string  `json:"password"` // null: none is given
	Thumbprint  string   `json:"thumbprint,omitempty"`
	Leaf        string   `json:"leaf,omitempty"`  // SHA-256 of the DER form
	Chain       []string `json:"chain,omitempty"` // nearest first
	Key         string   `json:"key,omitempty"`   // SHA-256 of the modulus, big-endian; see publicOf
	Error       string   `json:"error,omitempty"`
	Message     string   `json:"message,omitempty"`
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("synth: ")
	pki := flag.String("pki", "", "folder of the certificates and keys")
	records := flag.String("records", "", "cases recorded by make-corpus.sh")
	corpus := flag.String("corpus", "", "folder of the corpus, to be completed")
	manifest := flag.String("manifest", "", "manifest to write")
	add := flag.String("add", "", "add this group's cases to a manifest that exists, and do nothing else (odd)")
	merge := flag.Bool("merge", false, "add the recorded cases to a manifest that exists, and do nothing else")
	check := flag.String("verify", "", "hold this manifest against what openssl reads, and do nothing else")
	flag.Parse()

	var err error
	switch {
	case *check != "":
		err = verify(*check, *corpus)
	case *add != "":
		err = addGroup(*add, *pki, *corpus, *manifest)
	case *merge:
		err = mergeRecords(*pki, *records, *manifest)
	default:
		err = finish(*pki, *records, *corpus, *manifest)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func finish(pkiDir, records, corpus, manifest string) error {
	p, err := loadPKI(pkiDir)
	if err != nil {
		return err
	}
	cases, err := readRecords(p, records)
	if err != nil {
		return err
	}
	w := &writer{pki: p, dir: corpus}
	w.synthesise()
	if w.err != nil {
		return w.err
	}
	return writeManifest(append(cases, w.cases...), manifest)
}

// addGroup makes the files of one group anew, and leaves the others as they are:
// a whole run changes every file, as salts are random.
func addGroup(group, pkiDir, corpus, manifest string) error {
	p, err := loadPKI(pkiDir)
	if err != nil {
		return err
	}
	w := &writer{pki: p, dir: corpus}
	groups := map[string]func(){"odd": w.odd}
	if groups[group] == nil {
		return fmt.Errorf("no group %s", group)
	}
	groups[group]()
	if w.err != nil {
		return w.err
	}
	return addCases(w.cases, manifest)
}

// mergeRecords adds what one part of make-corpus.sh has recorded.
func mergeRecords(pkiDir, records, manifest string) error {
	p, err := loadPKI(pkiDir)
	if err != nil {
		return err
	}
	cases, err := readRecords(p, records)
	if err != nil {
		return err
	}
	return addCases(cases, manifest)
}

// addCases puts cases into a manifest that exists, in the place of those of their names.
func addCases(added []Case, manifest string) error {
	data, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	var cases []Case
	if err := json.Unmarshal(data, &cases); err != nil {
		return err
	}
	for _, c := range added {
		if i := slices.IndexFunc(cases, func(old Case) bool { return old.Name == c.Name }); i >= 0 {
			cases[i] = c
		} else {
			cases = append(cases, c)
		}
	}
	return writeManifest(cases, manifest)
}

func writeManifest(cases []Case, manifest string) error {
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.Name] {
			return fmt.Errorf("two cases are called %s", c.Name)
		}
		seen[c.Name] = true
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "\t")
	if err := enc.Encode(cases); err != nil {
		return err
	}
	return os.WriteFile(manifest, out.Bytes(), 0o644)
}

// readRecords reads what the shell functions ok and bad wrote: fields
// name=value, each ended by US, a case a line.
func readRecords(p *pki, path string) ([]Case, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var cases []Case
	for record := range strings.SplitSeq(strings.TrimSuffix(string(data), "\x1f\n"), "\x1f\n") {
		f := map[string]string{}
		for field := range strings.SplitSeq(record, "\x1f") {
			name, value, ok := strings.Cut(field, "=")
			if !ok {
				return nil, fmt.Errorf("record %q: no field: %q", record, field)
			}
			f[name] = value
		}
		c := Case{
			Name: f["name"], Tool: f["tool"], Class: f["class"], Format: f["format"], What: f["what"],
			File: f["file"], KeyFile: f["keyfile"], Error: f["error"], Message: f["message"],
			Slow: f["slow"] != "",
		}
		if password, ok := f["password"]; ok {
			c.Password = &password
		}
		if err := p.fill(&c, f["leaf"], f["chain"], f["thumb"]); err != nil {
			return nil, err
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// pki holds the certificates and keys of make/pki by name.
type pki struct {
	dir   string
	certs map[string][]byte // DER
	keys  map[string]string // of certificates that a run made: another one of the same key
}

// keyOf names a certificate with the key of cert that is in the folder.
func (p *pki) keyOf(cert string) string {
	if other, ok := p.keys[cert]; ok {
		return other
	}
	return cert
}

func loadPKI(dir string) (*pki, error) {
	p := &pki{dir: dir, certs: map[string][]byte{}, keys: map[string]string{}}
	paths, err := filepath.Glob(filepath.Join(dir, "*.crt.pem"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no certificates in %s", dir)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return nil, fmt.Errorf("%s: no PEM", path)
		}
		p.certs[strings.TrimSuffix(filepath.Base(path), ".crt.pem")] = block.Bytes
	}
	return p, nil
}

// key returns the PKCS #8 form of a key by its name.
func (p *pki) key(name string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(p.dir, name+".key.pem"))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("key %s: no PEM", name)
	}
	return block.Bytes, nil
}

// fill turns names into what corpus.json holds. A message that begins with @ is
// a thumbprint too.
func (p *pki) fill(c *Case, leaf, chain, thumb string) error {
	switch filepath.Ext(c.File) {
	case ".pfx", ".p12", ".txt":
		c.Kind = "PFX"
	case ".pem":
		c.Kind = "PEM"
	case ".der":
		c.Kind = "DER"
	default:
		c.Kind = "other"
	}
	if c.Format == "PEM-armoured PFX" {
		c.Kind = "PFX"
	}
	if (leaf == "") == (c.Error == "") {
		return fmt.Errorf("case %s: either a leaf or an error", c.Name)
	}
	if leaf != "" {
		der, ok := p.certs[leaf]
		if !ok {
			return fmt.Errorf("case %s: no certificate %s", c.Name, leaf)
		}
		c.Leaf = sha256Hex(der)
		public, err := p.publicKey(p.keyOf(leaf))
		if err != nil {
			return err
		}
		c.Key = sha256Hex(public)
		if chain != "" {
			for name := range strings.SplitSeq(chain, ",") {
				der, ok := p.certs[name]
				if !ok {
					return fmt.Errorf("case %s: no certificate %s", c.Name, name)
				}
				c.Chain = append(c.Chain, sha256Hex(der))
			}
		}
	}
	var err error
	if c.Thumbprint, err = p.thumbprint(thumb); err != nil {
		return err
	}
	if spec, ok := strings.CutPrefix(c.Message, "@"); ok {
		c.Message, err = p.thumbprint(spec)
	}
	return err
}

// publicKey asks openssl for a certificate's key, and gives what Case.Key is the digest
// of.
func (p *pki) publicKey(cert string) ([]byte, error) {
	x509 := exec.Command("openssl", "x509", "-noout", "-pubkey", "-in", filepath.Join(p.dir, cert+".crt.pem"))
	text, err := x509.Output()
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", cert, err)
	}
	public, err := publicOf(text)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", cert, err)
	}
	return public, nil
}

// publicOf is what identifies a key, of its PEM form, public or private: an RSA modulus,
// an EC point without compression, an Ed25519 public key. The curve's name and the
// uncompressed form are openssl's work.
func publicOf(text []byte) ([]byte, error) {
	public := bytes.Contains(text, []byte("PUBLIC KEY"))
	args := []string{"pkey", "-pubout", "-outform", "DER"}
	if public {
		args = append(args, "-pubin")
	}
	der, err := openssl(text, args...)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(der, idECPublicKey) {
		der, err = openssl(der, "ec", "-pubin", "-inform", "DER", "-pubout", "-outform", "DER",
			"-conv_form", "uncompressed", "-param_enc", "named_curve")
		if err != nil {
			return nil, err
		}
	}
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, err
	}
	var rsa struct{ N, E *big.Int }
	if _, err := asn1.Unmarshal(info.Key.Bytes, &rsa); err == nil {
		return rsa.N.Bytes(), nil
	}
	return info.Key.Bytes, nil
}

var idECPublicKey = []byte{6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}

func openssl(in []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Stdin = bytes.NewReader(in)
	return cmd.Output()
}

// thumbprint turns "sha1:leaf" into what a user would paste: sha1 and sha256
// in the form of Windows (upper hex), …lower, …colons as openssl prints, …b64 as
// x5t; "=text" is taken as it is.
func (p *pki) thumbprint(spec string) (string, error) {
	if spec == "" {
		return "", nil
	}
	if text, ok := strings.CutPrefix(spec, "="); ok {
		return text, nil
	}
	form, name, _ := strings.Cut(spec, ":")
	der, ok := p.certs[name]
	if !ok {
		return "", fmt.Errorf("thumbprint %s: no such certificate", spec)
	}
	var sum []byte
	if rest, ok := strings.CutPrefix(form, "sha256"); ok {
		s := sha256.Sum256(der)
		sum, form = s[:], rest
	} else if rest, ok := strings.CutPrefix(form, "sha1"); ok {
		s := sha1.Sum(der)
		sum, form = s[:], rest
	}
	switch form {
	case "":
		return fmt.Sprintf("%X", sum), nil
	case "lower":
		return hex.EncodeToString(sum), nil
	case "colons":
		return strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"), nil
	case "spaces":
		return fmt.Sprintf("% x", sum), nil
	case "b64":
		return base64.RawURLEncoding.EncodeToString(sum), nil
	}
	return "", fmt.Errorf("thumbprint %s: no such form", spec)
}

func sha256Hex(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// writer writes synthesised files and their cases; the first error sticks.
type writer struct {
	pki   *pki
	dir   string
	tool  string
	class string
	cases []Case
	err   error
}

// want is what a case expects; see the shell functions ok and bad.
type want struct {
	leaf, chain  string
	err, message string
	password     *string
	thumb        string
	file         string // another case's file
}

func (w *writer) add(file, format, what string, data []byte, x want) {
	if w.err != nil {
		return
	}
	name := strings.TrimSuffix(file, filepath.Ext(file))
	if x.file != "" {
		file = x.file
	} else if w.err = os.WriteFile(filepath.Join(w.dir, file), data, 0o644); w.err != nil {
		return
	}
	c := Case{
		Name: name, Tool: w.tool, Synthesised: true, Class: w.class, Format: format, What: what,
		File: file, Password: x.password, Error: x.err, Message: x.message,
	}
	if w.err = w.pki.fill(&c, x.leaf, x.chain, x.thumb); w.err == nil {
		w.cases = append(w.cases, c)
	}
}
