package main

import (
	"fmt"
	"strings"
	"testing"
)

// A password shows in no verb, by itself or inside another struct.
func TestPasswordResistsPrinting(t *testing.T) {
	type holder struct{ p password }
	secret := newPassword("hunter2", "a test")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, value := range []any{secret, &secret, holder{secret}, &holder{secret}} {
			text := fmt.Sprintf(verb, value)
			if strings.Contains(text, "hunter2") || strings.Contains(text, "68756e74657232") {
				t.Errorf("%s of %T shows it: %s", verb, value, text)
			}
		}
	}
	if got := secret.reveal(); got != "hunter2" {
		t.Errorf("reveal: %q", got)
	}
}
