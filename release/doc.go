// Package release tests how a version is made: the tags, the command that they
// give, and the check of the API. README.md is the check list.
package release
