// Package claims reads and writes the claims parameter of a token request. It is the
// JSON object that a resource asks for in the challenge of a 401, and in which a client
// declares its capabilities. The package knows neither tokens nor clients.
//
//	claims.go     the JSON object, and the capabilities in it
//	challenge.go  the WWW-Authenticate header of a 401
package claims

import (
	"encoding/json"
	"errors"
	"fmt"
)

// maxClaims bounds the JSON text of a claims parameter, in bytes.
const maxClaims = 16 << 10

// Check returns an error for a text that is not a JSON object of at most 16 KiB. The
// empty text stands for no claims and is accepted.
func Check(claims string) error {
	if claims == "" {
		return nil
	}
	var object map[string]json.RawMessage
	if len(claims) > maxClaims || json.Unmarshal([]byte(claims), &object) != nil || object == nil {
		return fmt.Errorf("claims are not a JSON object of at most %d bytes", maxClaims)
	}
	return nil
}

// WithCapabilities adds the client's capabilities to the claims of a request,
// as {"access_token":{"xms_cc":{"values":[…]}}}, and leaves everything else in
// them as it is.
func WithCapabilities(claims string, capabilities []string) (string, error) {
	if len(capabilities) == 0 {
		return claims, nil
	}
	request, err := object([]byte(claims))
	if err != nil {
		return "", err
	}
	accessToken, err := object(request["access_token"])
	if err != nil {
		return "", err
	}
	accessToken["xms_cc"], err = json.Marshal(map[string][]string{"values": capabilities})
	if err != nil {
		return "", err
	}
	if request["access_token"], err = json.Marshal(accessToken); err != nil {
		return "", err
	}
	merged, err := json.Marshal(request)
	return string(merged), err
}

// object reads a JSON object. No data and the value null give an empty object.
func object(data []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	if len(data) == 0 {
		return fields, nil
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, errors.New("claims hold something other than a JSON object")
	}
	if fields == nil {
		fields = make(map[string]json.RawMessage)
	}
	return fields, nil
}
