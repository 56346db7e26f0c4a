package redisstore_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) {
	if os.Getenv(replicaEnv) != "" {
		os.Exit(replicaMain())
	}
	goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find))
}
