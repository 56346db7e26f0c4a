// Package keyvault takes the certificate that proves a program's identity from
// Azure Key Vault, with the vault's own clients.
//
// [FromSecret] is for a certificate whose private key may leave the vault: the
// pair is read from the certificate's secret, and the program signs. [FromKey] is
// for one whose key may not: the certificate is read, and each assertion is
// signed by the vault, with the key of that very version.
//
//	source, err := keyvault.FromKey("https://contoso.vault.azure.net", "my-app", credential)
//	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, source)
//
// Both give a [Source], which keeps what it read, asks the vault for a renewed
// version from time to time behind its callers, and goes on with the last good
// pair while the vault can't be reached. The credential, which any azcore client
// takes, opens the vault only; a managed identity is the usual one.
//
// The key is RSA, or EC on P-256, P-384 or P-521 for servers other than Entra ID and ADFS.
// A key that has no certificate in the vault, as every key of a managed HSM, is for FromKey
// with [WithCertificate] or [WithoutCertificate]. Package keyvaulttest is a vault for tests.
package keyvault
