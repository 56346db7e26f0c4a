//go:build !unix

package regularfile

// withoutWaiting is nothing here: Windows opens a pipe or a device without waiting,
// or reports that it is busy.
const withoutWaiting = 0
