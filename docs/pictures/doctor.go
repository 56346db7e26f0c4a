package main

import (
	_ "embed"
	"strings"
)

// What certtoken doctor printed of a certificate that was never uploaded. A test of
// docs/troubleshooting.md holds it against what the command prints.
//
//go:embed doctor.txt
var doctorOutput string

// doctor is a terminal with doctor's output.
func doctor() *drawing {
	const lineHeight, top = 20, 70
	lines := strings.Split(strings.TrimRight(doctorOutput, "\n"), "\n")
	d := &drawing{
		name: "doctor", title: "What doctor prints", width: 760, height: top + lineHeight*float64(len(lines)) + 16,
		description: "certtoken doctor, in a terminal: one line for each check. Here file, password, key, validity, " +
			"network, TLS and clock have a green tick, and thumbprint and exchange a red cross, with what to do: the " +
			"certificate that signs isn't the one that was uploaded.",
	}
	terminal := rect{14, 14, d.width - 28, d.height - 28}
	d.boxes = append(d.boxes, box{terminal, "terminal"})
	put := func(x, y float64, class, content string) {
		d.texts = append(d.texts, text{x, y, "start", mono, class, content, &terminal})
	}
	put(30, 40, "", "$ certtoken doctor --client-id my-app --cert deployed/private.pfx --cer uploaded/public.cer …")
	for i, line := range lines {
		y := top + float64(i)*lineHeight
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "✓":
			put(30, y, "good", mark)
		case "✗":
			put(30, y, "bad", mark)
		default:
			put(30, y, "", line)
			continue
		}
		put(45.2, y, "", rest)
	}
	return d
}
