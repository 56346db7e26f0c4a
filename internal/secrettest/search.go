package secrettest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// Shows reports whether a secret stands in a text, as it is or in a form that something
// printed may have. An empty text is no secret.
func Shows(text, secret string) bool {
	return secret != "" && slices.ContainsFunc(forms(secret), func(form string) bool {
		return strings.Contains(text, form)
	})
}

// ShowsPart reports whether one of the parts of a JWT, or all of an opaque token, stands in a
// text.
func ShowsPart(text, jwt string) bool {
	return slices.ContainsFunc(strings.Split(jwt, "."), func(part string) bool { return Shows(text, part) })
}

func forms(secret string) []string {
	data := []byte(secret)
	hexadecimal := hex.EncodeToString(data)
	whole := data[:len(data)-len(data)%3] // what follows changes the last digits of base64
	all := []string{
		secret, url.QueryEscape(secret), hexadecimal, strings.ToUpper(hexadecimal), fmt.Sprintf("% x", data),
		strings.Trim(fmt.Sprint(data), "[]"), strings.Trim(fmt.Sprintf("%#v", data), "[]byte{}"),
	}
	if len(whole) > 0 {
		all = append(all, base64.StdEncoding.EncodeToString(whole), base64.URLEncoding.EncodeToString(whole))
	}
	return all
}

// Random base64 text may hold its first three characters; a full stop it never has.
var jwtBegin = lazyregexp.New(`eyJ[\w-]+\.`)

// BeginsJWT reports whether a JWT begins somewhere in a text.
func BeginsJWT(text string) bool { return jwtBegin().MatchString(text) }
