// Command pictures draws the documentation's pictures. Each is one SVG that
// follows the reader's light or dark scheme. The same sources draw the same
// bytes; a test compares them with the committed files.
//
//	go generate ./docs/pictures
package main

//go:generate go run . .

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pictures FOLDER")
		os.Exit(2)
	}
	for _, d := range drawings() {
		if err := os.WriteFile(filepath.Join(os.Args[1], d.name+".svg"), []byte(d.svg()), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// drawings are all pictures of the documentation.
func drawings() []*drawing {
	return []*drawing{flow(), upload(), doctor(), rotation(), fleet()}
}
