// Package tpm signs with a key of this machine's TPM 2.0. The key never leaves the chip,
// and what is on the disk is of no use on another machine. It needs no cgo.
//
//	source, err := tpm.FromFile("/etc/my-service/private.tpm")
//	…
//	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, source)
//
// [FromFile] takes a TSS2 PRIVATE KEY file, as OpenSSL's tpm2 provider, tpm2-tss, the
// command "certtoken cert new --tpm" and [Create] write it, in which the certificate may
// stand too. [FromHandle] takes a key that the TPM keeps itself.
//
// The TPM is open only while it works, one command after another for all sources of a
// process. Callers wait for their turn until their contexts end.
package tpm
