package certsource_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines minutes to end, of which goleak has half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	for end := time.Now().Add(3 * time.Minute); code == 0 && goleak.Find() != nil && time.Now().Before(end); {
	}
	return code
}
