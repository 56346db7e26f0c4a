// Package kms shows signers of keys that are in the key management service of a cloud and never
// leave it: AWS KMS and Google Cloud KMS. It is there to be copied from.
//
// The services' signers are those of go.step.sm/crypto, by Smallstep. They take no context,
// return signatures unchecked, and don't say so if a key signs by another padding than was
// asked for. Package certsource adds a context and the check of each signature, and wraps
// errors.ErrUnsupported for another padding. A key that is asked for another hash than its own
// gives the service's error as it is.
package kms
