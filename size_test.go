package certtoken

import (
	"testing"
	"unsafe"
)

// A slot takes two cache lines and its hot fields the first of them: more, and
// it isn't aligned to them any more.
func TestSlotSize(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("needs a 64-bit machine")
	}
	if size := unsafe.Sizeof(slot{}); size > 128 || size <= 112 {
		t.Errorf("a slot has %d bytes, its size class should be 128", size)
	}
	if end := unsafe.Offsetof(slot{}.dead) + unsafe.Sizeof(slot{}.dead); end > 64 {
		t.Errorf("what a hit reads ends at byte %d, should be within 64", end)
	}
}
