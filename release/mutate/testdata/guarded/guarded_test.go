package guarded

import "testing"

func TestChecked(t *testing.T) {
	for name, good := range map[string]bool{"": false, "a": true, "12345678": true, "123456789": false} {
		if err := Checked(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestUnchecked(t *testing.T) {
	if err := Unchecked(-1, true); err == nil {
		t.Error("a negative number")
	}
	if err := Unchecked(1, true); err != nil {
		t.Error(err)
	}
}
