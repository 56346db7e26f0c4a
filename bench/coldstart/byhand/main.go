// Command byhand gets a token by the standard library alone and ends: about the least
// that a program can do.
package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/certtoken/certtoken/bench/coldstart/internal/task"
)

func main() { task.Done(token()) }

func token() (string, error) {
	key, leaf, err := read(task.File())
	if err != nil {
		return "", err
	}
	endpoint := "https://" + task.Host() + "/" + task.Tenant + "/oauth2/v2.0/token"
	assertion, err := sign(key, leaf, endpoint)
	if err != nil {
		return "", err
	}
	resp, err := http.PostForm(endpoint, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {task.ClientID}, "scope": {task.Scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
	})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %s", resp.Status)
	}
	err = json.NewDecoder(resp.Body).Decode(&grant)
	return grant.AccessToken, err
}

func read(file string) (key crypto.Signer, leaf []byte, err error) {
	data, err := os.ReadFile(file)
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			leaf = block.Bytes
			continue
		}
		parsed, perr := x509.ParsePKCS8PrivateKey(block.Bytes)
		if perr != nil {
			return nil, nil, perr
		}
		key = parsed.(crypto.Signer)
	}
	return key, leaf, err
}

func sign(key crypto.Signer, leaf []byte, endpoint string) (string, error) {
	now, sum := time.Now().Unix(), sha256.Sum256(leaf)
	encode := base64.RawURLEncoding.EncodeToString
	head := fmt.Sprintf(`{"alg":"PS256","typ":"JWT","x5t#S256":%q}`, encode(sum[:]))
	claims := fmt.Sprintf(`{"aud":%q,"iss":%q,"sub":%q,"jti":%q,"nbf":%d,"iat":%d,"exp":%d}`,
		endpoint, task.ClientID, task.ClientID, rand.Text(), now, now, now+300)
	input := encode([]byte(head)) + "." + encode([]byte(claims))
	digest := sha256.Sum256([]byte(input))
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	signature, err := key.Sign(rand.Reader, digest[:], pss)
	return input + "." + encode(signature), err
}
