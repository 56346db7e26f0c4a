package disk

import "errors"

// TryLock takes the lock of a file, which it makes, and returns the function that releases
// it. It doesn't wait: where the lock is taken already, also by this process, unlock is nil.
// The system releases the lock of a process that has ended.
func (d Disk) TryLock(path string) (unlock func(), err error) {
	unlock, err = d.lockFile(path)
	if errors.Is(err, errTaken) {
		return nil, nil
	}
	return unlock, err
}
