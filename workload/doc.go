// Package workload has assertion sources for programs whose surroundings give them an
// identity: a job of GitHub Actions, and whatever has a managed identity in Azure. A client of
// [certtoken.NewFederatedClient] proves itself by them and needs no certificate. A token that
// Kubernetes projects into a pod is [certtoken.AssertionFile].
//
// The sources find by environment variables whom to ask, at every question. They send what they
// must keep secret only over https, or over http to this machine and its link-local addresses.
// Their errors say what is missing, and hold no secret. They may be used from many goroutines.
package workload
