// Package sample has a test of each end.
package sample

import (
	"fmt"
	"os"
	"testing"
)

func TestPasses(t *testing.T) {
	t.Log("nobody reads this")
	t.Run("sub", func(*testing.T) {})
}

func TestSkipped(t *testing.T) { t.Skip("no program") }

func TestFails(t *testing.T) {
	if os.Getenv("SAMPLE") == "passes" {
		return
	}
	t.Run("good", func(t *testing.T) { t.Log("nor this") })
	t.Run("bad", func(t *testing.T) { t.Error("this is wrong") })
}

func TestPanics(*testing.T) {
	if os.Getenv("SAMPLE") == "panics" {
		fmt.Println("before the end")
		panic("the end")
	}
}
