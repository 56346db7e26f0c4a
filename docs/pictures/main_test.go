package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The committed pictures are what this program draws.
func TestCommittedPictures(t *testing.T) {
	var names []string
	for _, d := range drawings() {
		file := d.name + ".svg"
		names = append(names, file)
		committed, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.True(t, string(committed) == d.svg(), "%s isn't what is drawn: go generate ./docs/pictures", file)
		assert.NoError(t, xml.Unmarshal([]byte(d.svg()), new(struct{})), file)
	}
	files, err := filepath.Glob("*.svg")
	require.NoError(t, err)
	assert.ElementsMatch(t, names, files, "no picture that nothing draws")
}

// Every text stands inside of the picture and of its box, and on no other text or arrow.
func TestNothingOverlaps(t *testing.T) {
	for _, d := range drawings() {
		t.Run(d.name, func(t *testing.T) { assert.Empty(t, faults(d)) })
	}
}

// faults is what a reader couldn't read, or would read twice.
func faults(d *drawing) []string {
	var all []string
	page := rect{1, 1, d.width - 2, d.height - 2}
	for i, t := range d.texts {
		if !page.holds(t.bounds()) {
			all = append(all, t.content+": leaves the picture")
		}
		if t.inside != nil && !t.inside.holds(t.bounds()) {
			all = append(all, t.content+": leaves its box")
		}
		for _, other := range d.texts[:i] {
			if t.bounds().meets(other.bounds()) {
				all = append(all, t.content+": overlaps "+other.content)
			}
		}
		for _, b := range d.boxes {
			if b.meets(t.bounds()) && !b.holds(t.bounds()) {
				all = append(all, t.content+": a box's border runs through it")
			}
		}
		for _, a := range d.arrows {
			for j := 1; j < len(a.points); j++ {
				if segment(a.points[j-1], a.points[j]).meets(t.bounds()) {
					all = append(all, t.content+": an arrow runs through it")
				}
			}
		}
	}
	for i, b := range d.boxes {
		for _, other := range d.boxes[:i] {
			if b.meets(other.rect) {
				all = append(all, "two boxes overlap")
			}
		}
	}
	return all
}

func (r rect) holds(o rect) bool {
	return o.x >= r.x && o.y >= r.y && o.x+o.w <= r.x+r.w && o.y+o.h <= r.y+r.h
}

func (r rect) meets(o rect) bool {
	return r.x < o.x+o.w && o.x < r.x+r.w && r.y < o.y+o.h && o.y < r.y+r.h
}

// segment is the rectangle of a line, which is level or upright.
func segment(a, b [2]float64) rect {
	x, y := min(a[0], b[0]), min(a[1], b[1])
	return rect{x - 1, y - 1, max(a[0], b[0]) - x + 2, max(a[1], b[1]) - y + 2}
}

// The test above notices each fault that it is there for.
func TestFaultsAreNoticed(t *testing.T) {
	for name, change := range map[string]func(*drawing){
		"leaves the picture": func(d *drawing) { d.text(note, 95, 50, "start", "long") },
		"leaves its box":     func(d *drawing) { d.box("", rect{10, 10, 20, 30}, "much too long") },
		"overlaps": func(d *drawing) {
			d.text(note, 10, 50, "start", "a")
			d.text(bold, 12, 52, "start", "b")
		},
		"border runs": func(d *drawing) {
			d.text(note, 10, 50, "start", "abc")
			d.boxes = []box{{rect{12, 40, 50, 50}, ""}}
		},
		"arrow runs": func(d *drawing) {
			d.text(note, 10, 50, "start", "abc")
			d.arrow("", [2]float64{15, 10}, [2]float64{15, 90})
		},
		"boxes overlap": func(d *drawing) { d.boxes = []box{{rect{1, 1, 9, 9}, ""}, {rect{5, 5, 9, 9}, ""}} },
	} {
		d := &drawing{width: 100, height: 100}
		change(d)
		assert.Contains(t, strings.Join(faults(d), "\n"), name)
	}
}

// Every picture is shown on a page, with a text for those who can't see it.
func TestPicturesAreShown(t *testing.T) {
	pages, err := filepath.Glob("../*.md")
	require.NoError(t, err)
	var shown strings.Builder
	for _, page := range append(pages, "../../README.md") {
		data, err := os.ReadFile(page)
		require.NoError(t, err)
		shown.Write(data)
	}
	for _, d := range drawings() {
		picture := regexp.MustCompile(`!\[[^\]]{30,}\]\((docs/)?pictures/` + d.name + `\.svg\)`)
		assert.True(t, picture.MatchString(shown.String()), "no page shows %s.svg with a text", d.name)
	}
}

// A scheme that forgets a class shows dark on dark.
func TestBothSchemesHaveEveryColour(t *testing.T) {
	light, dark, found := strings.Cut(colours, "@media (prefers-color-scheme: dark)")
	require.True(t, found)
	rule := regexp.MustCompile(`(?m)^\s*(\S[^{\n]*?) \{[^}]*?((?:fill|stroke): #[0-9a-f]{6})`)
	rules := rule.FindAllStringSubmatch(light, -1)
	require.Greater(t, len(rules), 8)
	for _, m := range rules {
		assert.Contains(t, dark, "\n  "+m[1]+" {", "this rule has no colour in the dark")
	}
}
