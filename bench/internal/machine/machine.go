// Package machine tells on what machine something was measured.
package machine

import (
	"os"
	"regexp"
)

// Processor is the model of the CPU, where the system tells.
func Processor() string {
	data, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	m := regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`).FindSubmatch(data)
	if m == nil {
		return "unknown processor"
	}
	return string(m[1])
}
