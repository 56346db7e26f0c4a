module github.com/certtoken/certtoken/ext/tpm/example

go 1.26.0

require (
	github.com/certtoken/certtoken v0.0.0
	github.com/certtoken/certtoken/ext/tpm v0.0.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/golang-jwt/jwt/v5 v5.3.1 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	go.yaml.in/yaml/v3 v3.0.6 // indirect
	golang.org/x/crypto v0.59.0 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	software.sslmate.com/src/go-pkcs12 v0.7.4 // indirect
)

replace github.com/certtoken/certtoken => ../../..

replace github.com/certtoken/certtoken/ext/tpm => ../
