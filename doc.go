// Package certtoken turns a certificate into an access token.
package certtoken
