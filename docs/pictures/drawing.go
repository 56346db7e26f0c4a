package main

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// style is how a text looks.
type style struct {
	class string
	size  float64
	width float64 // of a character at most, on average, as a part of size
}

var (
	bold = style{"bold", 14, 0.6}
	note = style{"note", 12.5, 0.55}
	mono = style{"mono", 12.5, 0.61} // every character has this width
)

// A drawing is one picture. Lengths are in pixels.
type drawing struct {
	name, title string
	description string // for readers who can't see it
	width       float64
	height      float64
	boxes       []box
	texts       []text
	arrows      []arrow
}

// A box is a rectangle whose texts are inside of it.
type box struct {
	rect
	class string
}

type text struct {
	x, y    float64 // of the anchor, on the base line
	anchor  string  // start, middle or end
	style   style
	class   string // a second class: a colour
	content string
	inside  *rect // the box that it must not leave
}

// An arrow leads through its points; the last one has the head.
type arrow struct {
	class  string
	points [][2]float64
}

type rect struct{ x, y, w, h float64 }

// bounds is the place that a text takes at most.
func (t text) bounds() rect {
	w := float64(utf8.RuneCountInString(t.content)) * t.style.width * t.style.size
	x := t.x
	switch t.anchor {
	case "middle":
		x -= w / 2
	case "end":
		x -= w
	}
	return rect{x, t.y - t.style.size*0.8, w, t.style.size}
}

// box adds a box with a title in bold and lines below it, all in the middle.
func (d *drawing) box(class string, r rect, title string, lines ...string) {
	d.boxes = append(d.boxes, box{r, class})
	const lineHeight = 18
	y := r.y + r.h/2 - float64(len(lines))*lineHeight/2 + 5
	d.texts = append(d.texts, text{r.x + r.w/2, y, "middle", bold, "", title, &r})
	for _, line := range lines {
		y += lineHeight
		d.texts = append(d.texts, text{r.x + r.w/2, y, "middle", note, "", line, &r})
	}
}

func (d *drawing) text(s style, x, y float64, anchor, content string) {
	d.texts = append(d.texts, text{x: x, y: y, anchor: anchor, style: s, content: content})
}

// arrow adds an arrow; class is "" or a colour.
func (d *drawing) arrow(class string, points ...[2]float64) {
	d.arrows = append(d.arrows, arrow{class, points})
}

// svg is the drawing. It paints its own background, as pages aren't always of the
// scheme that the reader's system has.
func (d *drawing) svg() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%g" height="%g" role="img"`+
		` aria-labelledby="title desc">`, d.width, d.height, d.width, d.height)
	line(`<title id="title">%s</title>`, html.EscapeString(d.title))
	line(`<desc id="desc">%s</desc>`, html.EscapeString(d.description))
	line(`<style>%s</style>`, colours)
	line(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">` +
		`<path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>`)
	line(`<rect class="page" x="0.5" y="0.5" width="%g" height="%g" rx="8"/>`, d.width-1, d.height-1)
	for _, box := range d.boxes {
		line(`<rect class="box %s" x="%g" y="%g" width="%g" height="%g" rx="6"/>`, box.class, box.x, box.y, box.w, box.h)
	}
	for _, arrow := range d.arrows {
		points := make([]string, 0, len(arrow.points))
		for _, p := range arrow.points {
			points = append(points, fmt.Sprintf("%g,%g", p[0], p[1]))
		}
		line(`<polyline class="arrow %s" points="%s" marker-end="url(#tip)"/>`, arrow.class, strings.Join(points, " "))
	}
	for _, t := range d.texts {
		line(`<text class="%s" x="%g" y="%g" text-anchor="%s" xml:space="preserve">%s</text>`,
			strings.TrimSpace(t.style.class+" "+t.class), t.x, t.y, t.anchor, html.EscapeString(t.content))
	}
	line(`</svg>`)
	return b.String()
}

const colours = `
text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #1f2328; }
.bold { font-size: 14px; font-weight: 600; }
.note { font-size: 12.5px; fill: #59636e; }
.mono { font-size: 12.5px; font-family: ui-monospace, Consolas, "Liberation Mono", Menlo, monospace; }
.page { fill: #ffffff; stroke: #d1d9e0; }
.box { fill: #f6f8fa; stroke: #818b98; stroke-width: 1.2; }
.box.ours { fill: #dafbe1; stroke: #1a7f37; }
.box.secret { fill: #fff1e5; stroke: #bc4c00; }
.box.server { fill: #ddf4ff; stroke: #0969da; }
.box.terminal { fill: #f6f8fa; stroke: #d1d9e0; }
.arrow { fill: none; stroke: #59636e; stroke-width: 1.6; }
.arrow.later { stroke-dasharray: 5 4; }
.tip { fill: #59636e; }
.good { fill: #1a7f37; }
.bad { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .note { fill: #9198a1; }
  .page { fill: #0d1117; stroke: #3d444d; }
  .box { fill: #151b23; stroke: #656c76; }
  .box.ours { fill: #12261e; stroke: #3fb950; }
  .box.secret { fill: #221a19; stroke: #db6d28; }
  .box.server { fill: #121d2f; stroke: #4493f8; }
  .box.terminal { fill: #151b23; stroke: #3d444d; }
  .arrow { stroke: #9198a1; }
  .tip { fill: #9198a1; }
  .good { fill: #3fb950; }
  .bad { fill: #f85149; }
}
`
