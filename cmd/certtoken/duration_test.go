package main

import (
	"strings"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30": 30 * time.Second, "90s": 90 * time.Second, "1h30m": 90 * time.Minute, "0": 0, "30d": 720 * time.Hour,
		"0d": 0, "65535d": 65535 * day,
	} {
		var d duration
		if err := d.Set(text); err != nil || time.Duration(d) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(d), err)
		}
		var again duration
		if err := again.Set(d.String()); d != 0 && (err != nil || again != d) {
			t.Errorf("%s is printed as %s", text, d.String())
		}
	}
	for _, text := range []string{"", "d", "1.5d", "-1d", "65536d", "1d12h", "30days", "soon", "99999999999"} {
		var d duration
		if err := d.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, time.Duration(d))
		}
	}
}

// A user who gives a number alone would mean days.
func TestPeriod(t *testing.T) {
	for text, want := range map[string]time.Duration{"30d": 720 * time.Hour, "0": 0, "12h": 12 * time.Hour,
		"90s": 90e9} {
		var p period
		if err := p.Set(text); err != nil || time.Duration(p) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(p), err)
		}
	}
	for text, want := range map[string]string{"30": "30d", "7": "7d", "soon": "30d, 12h", "-1d": "30d, 12h"} {
		var p period
		if err := p.Set(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, time.Duration(p), err)
		}
	}
}
