// Package leaktest gives goroutines minutes to end before a test is told that they leaked.
// goleak gives them half a second, which is too short on a busy machine: what ends a
// goroutine, such as the other side of a connection, may have to wait for its turn.
//
// It is handed [goleak.Find] instead of importing it, so that users of this module don't
// depend on goleak.
//
// [goleak.Find]: https://pkg.go.dev/go.uber.org/goleak#Find
package leaktest

import "time"

// patience is how long goroutines have. It is long, as only a test that fails waits for its
// end.
const patience = 3 * time.Minute

// Find is find when nothing is left to be found, or after minutes. It calls find again and
// again, so find has to wait a moment itself before it reports an error, as goleak.Find does.
func Find[Option any](find func(...Option) error, opts ...Option) error {
	for end := time.Now().Add(patience); ; {
		if err := find(opts...); err == nil || !time.Now().Before(end) {
			return err
		}
	}
}

// Tests runs the tests of a package, as a *testing.M does.
type Tests interface{ Run() int }

// Patient is the same tests, whose goroutines have time to end before Run returns. It
// reports nothing itself, so it is for goleak.VerifyTestMain, with the same options:
//
//	goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find))
func Patient[Option any](m Tests, find func(...Option) error, opts ...Option) Tests {
	return patient{m, func() { _ = Find(find, opts...) }} // goleak.VerifyTestMain looks again
}

type patient struct {
	Tests
	wait func()
}

// Run doesn't wait after tests that failed, of which goleak says nothing.
func (p patient) Run() int {
	code := p.Tests.Run()
	if code == 0 {
		p.wait()
	}
	return code
}
