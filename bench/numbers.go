package main

import (
	"fmt"
	"time"
)

// number has three digits that count.
func number(x float64) string {
	switch {
	case x == float64(int64(x)) || x >= 100:
		return thousands(int64(x + 0.5))
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func tokens(n int) string {
	if n == 1 {
		return "1 token"
	}
	return thousands(int64(n)) + " tokens"
}

// nanos is a time for people.
func nanos(ns float64) string {
	switch {
	case ns < 1e3:
		return number(ns) + " ns"
	case ns < 1e6:
		return number(ns/1e3) + " µs"
	case ns < 1e9:
		return number(ns/1e6) + " ms"
	}
	return number(ns/1e9) + " s"
}

func duration(d time.Duration) string { return nanos(float64(d)) }
