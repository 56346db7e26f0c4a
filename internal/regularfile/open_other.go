//go:build !unix

package regularfile

// WithoutWaiting is nothing here: Windows opens a pipe or a device without waiting,
// or reports that it is busy.
const WithoutWaiting = 0
