package main

import (
	"fmt"
	"math"
	"strings"
)

// The plot's geometry.
const (
	plotWidth, plotHeight = 780, 440
	plotLeft, plotRight   = 84, 566
	plotTop, plotBottom   = 84, 380
	plotMinExp            = 1 // 10 ns
)

// curve is one line of the plot.
type curve struct {
	class  string
	label  string
	points [][2]float64 // tokens, nanoseconds
}

// plot draws what a hit costs against the number of tokens, on scales on which
// a law of growth is a straight line. Colours follow the reader's light or dark
// scheme; without one they are legible on both.
func (r *results) plot() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	maxTokens := float64(r.cfg.sizes[len(r.cfg.sizes)-1])
	x := func(n float64) float64 {
		return plotLeft + (plotRight-plotLeft)*math.Log10(n)/math.Log10(maxTokens)
	}
	curves := r.curves()
	maxExp := plotMinExp + 1
	for _, c := range curves {
		for _, p := range c.points {
			maxExp = max(maxExp, int(math.Ceil(math.Log10(p[1]))))
		}
	}
	y := func(ns float64) float64 {
		return plotBottom - (plotBottom-plotTop)*(math.Log10(ns)-plotMinExp)/float64(maxExp-plotMinExp)
	}

	line(
		`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-labelledby="title desc">`,
		plotWidth,
		plotHeight,
		plotWidth,
		plotHeight,
	)
	line(`<title id="title">Cost of a cached token</title>`)
	line(`<desc id="desc">%s</desc>`, r.plotText())
	line(`<style>%s</style>`, plotStyle)
	line(`<text class="head" x="24" y="32">Cost of a cached token</text>`)
	line(
		`<text class="note" x="24" y="52">time for a hit, any of the tokens in the cache, one caller: less is better</text>`,
	)

	for exp := plotMinExp; exp <= maxExp; exp++ {
		ns := math.Pow10(exp)
		line(`<line class="grid" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/>`, plotLeft, y(ns), plotRight, y(ns))
		line(`<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft-10, y(ns)+4, nanos(ns))
	}
	for n := 1.0; n <= maxTokens; n *= 10 {
		line(`<line class="grid" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`, x(n), plotTop, x(n), plotBottom)
		line(
			`<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			x(n),
			plotBottom+20,
			thousands(int64(n)),
		)
	}
	line(
		`<text class="note" x="%d" y="%d" text-anchor="middle">tokens in the cache</text>`,
		(plotLeft+plotRight)/2,
		plotBottom+44,
	)

	for _, c := range curves {
		path := make([]string, 0, len(c.points))
		for _, p := range c.points {
			path = append(path, fmt.Sprintf("%.1f,%.1f", x(p[0]), y(p[1])))
		}
		line(`<polyline class="line %s" points="%s"/>`, c.class, strings.Join(path, " "))
		if c.class != "map" {
			for _, p := range c.points {
				line(`<circle class="dot %s" cx="%.1f" cy="%.1f" r="3.5"/>`, c.class, x(p[0]), y(p[1]))
			}
		}
	}
	tops := labelPlaces(curves, y)
	for i, c := range curves {
		last := c.points[len(c.points)-1]
		if len(c.points) == 1 { // lines go on beside it
			line(`<text class="label %s" x="%.1f" y="%.1f">%s</text>`, c.class, x(last[0])+4, y(last[1])-14, c.label)
			continue
		}
		line(`<text class="label %s" x="%.1f" y="%.1f">%s</text>`, c.class, x(last[0])+12, tops[i]+4, c.label)
	}
	line(`</svg>`)
	return b.String()
}

// curves are the lines from top to bottom.
func (r *results) curves() []curve {
	list := []curve{
		{class: "azidentity", label: nameAzidentity},
		{class: "msal", label: nameMSAL},
		{class: "oauth2", label: "x/oauth2, one token only"},
		{class: "ours", label: "certtoken"},
		{class: "map", label: "a bare map and a clock"},
	}
	names := []string{nameAzidentity, nameMSAL, nameOAuth2, nameOurs, nameMap}
	for i := range list {
		for _, size := range r.cfg.sizes {
			if s := r.hits.bySize[size][names[i]]; len(s) > 0 {
				list[i].points = append(list[i].points, [2]float64{float64(size), s.median()})
			}
		}
	}
	return list
}

// labelPlaces are the labels' heights: beside the end of the line, and where
// lines end at the same number of tokens, apart from each other.
func labelPlaces(curves []curve, y func(float64) float64) []float64 {
	const apart = 18
	end := func(c curve) [2]float64 { return c.points[len(c.points)-1] }
	places := make([]float64, len(curves))
	for i, c := range curves {
		places[i] = y(end(c)[1])
	}
	for range len(curves) { // a few passes settle any heap of them
		for i := range curves {
			for j := range curves {
				if i == j || len(curves[i].points) == 1 || len(curves[j].points) == 1 ||
					end(curves[i])[0] != end(curves[j])[0] {
					continue
				}
				if d := places[j] - places[i]; d >= 0 && d < apart && (d > 0 || j > i) {
					places[i] -= (apart - d) / 2
					places[j] += (apart - d) / 2
				}
			}
		}
	}
	return places
}

// plotText says what the plot shows to who can't see it.
func (r *results) plotText() string {
	var parts []string
	for _, c := range r.curves() {
		last := c.points[len(c.points)-1]
		first := c.points[0]
		parts = append(
			parts,
			fmt.Sprintf(
				"%s: %s with %s, %s with %s",
				c.label,
				nanos(first[1]),
				tokens(int(first[0])),
				nanos(last[1]),
				tokens(int(last[0])),
			),
		)
	}
	return strings.Join(parts, "; ")
}

const plotStyle = `
text { font-family: -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #6e7781; }
.head { font-size: 17px; font-weight: 600; fill: #768390; }
.note { font-size: 12.5px; }
.tick { font-size: 12px; }
.label { font-size: 13px; font-weight: 600; }
.grid { stroke: #8c959f; stroke-opacity: 0.28; stroke-width: 1; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.line.ours { stroke-width: 3.2; }
.line.map { stroke-dasharray: 5 5; stroke-width: 1.8; }
.line.ours { stroke: #2da44e; } .dot.ours, .label.ours { fill: #2da44e; }
.line.map { stroke: #8c959f; } .label.map { fill: #8c959f; }
.line.msal { stroke: #0a84d8; } .dot.msal, .label.msal { fill: #0a84d8; }
.line.azidentity { stroke: #a371f7; } .dot.azidentity, .label.azidentity { fill: #a371f7; }
.dot.oauth2, .label.oauth2 { fill: #d4860b; }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1; }
  .head { fill: #d1d7e0; }
  .line.ours { stroke: #3fb950; } .dot.ours, .label.ours { fill: #3fb950; }
  .line.msal { stroke: #4493f8; } .dot.msal, .label.msal { fill: #4493f8; }
  .line.azidentity { stroke: #ab7df8; } .dot.azidentity, .label.azidentity { fill: #ab7df8; }
  .dot.oauth2, .label.oauth2 { fill: #e3a33c; }
}
`
