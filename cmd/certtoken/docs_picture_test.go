package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The picture of doctor's output shows what the block of the page does, which
// TestDocumentedCommands compares with what doctor prints. Where the picture has a
// line less than doctor, it has … at the end of the line before.
func TestPictureOfDoctor(t *testing.T) {
	picture, err := os.ReadFile(filepath.Join(docsFolder, "pictures", "doctor.txt"))
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Replace(string(picture), "certificate …\n", "certificate …\n…\n", 1)
	for _, block := range docBlocks(t, filepath.Join(docsFolder, "troubleshooting.md")) {
		if block.info == "text output" && strings.HasPrefix(block.body, "✓ file") {
			if !docPattern(block.body).MatchString(trimLines(shown)) {
				t.Errorf("the page says\n%s\nand the picture\n%s", block.body, shown)
			}
			return
		}
	}
	t.Error("the page doesn't show what doctor prints")
}
