// Package promtext writes OpenTelemetry's metrics in the text format that Prometheus
// scrapes (version 0.0.4). It knows counters, gauges and histograms of numbers, which is
// what certtoken's metrics are.
package promtext

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// Write writes all metrics. Those of a kind that it doesn't know are left out.
func Write(w io.Writer, metrics *metricdata.ResourceMetrics) error {
	b := &writer{bufio.NewWriter(w)}
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			b.metric(m)
		}
	}
	return b.Flush()
}

type writer struct{ *bufio.Writer }

func (b *writer) metric(m metricdata.Metrics) {
	name := nameOf(m)
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		if data.IsMonotonic {
			name += "_total"
		}
		b.head(name, kindOf(data.IsMonotonic), m.Description)
		for _, p := range data.DataPoints {
			b.sample(name, p.Attributes, "", strconv.FormatInt(p.Value, 10))
		}
	case metricdata.Sum[float64]:
		if data.IsMonotonic {
			name += "_total"
		}
		b.head(name, kindOf(data.IsMonotonic), m.Description)
		for _, p := range data.DataPoints {
			b.sample(name, p.Attributes, "", number(p.Value))
		}
	case metricdata.Gauge[int64]:
		b.head(name, "gauge", m.Description)
		for _, p := range data.DataPoints {
			b.sample(name, p.Attributes, "", strconv.FormatInt(p.Value, 10))
		}
	case metricdata.Gauge[float64]:
		b.head(name, "gauge", m.Description)
		for _, p := range data.DataPoints {
			b.sample(name, p.Attributes, "", number(p.Value))
		}
	case metricdata.Histogram[float64]:
		b.head(name, "histogram", m.Description)
		for _, p := range data.DataPoints {
			b.histogram(name, p)
		}
	}
}

func kindOf(monotonic bool) string {
	if monotonic {
		return "counter"
	}
	return "gauge"
}

func (b *writer) head(name, kind, help string) {
	help = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)
	fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (b *writer) histogram(name string, p metricdata.HistogramDataPoint[float64]) {
	sum := uint64(0)
	for i, bound := range p.Bounds {
		sum += p.BucketCounts[i]
		b.sample(name+"_bucket", p.Attributes, number(bound), strconv.FormatUint(sum, 10))
	}
	b.sample(name+"_bucket", p.Attributes, "+Inf", strconv.FormatUint(p.Count, 10))
	b.sample(name+"_sum", p.Attributes, "", number(p.Sum))
	b.sample(name+"_count", p.Attributes, "", strconv.FormatUint(p.Count, 10))
}

// sample writes a line. A bucket has its upper bound as a label.
func (b *writer) sample(name string, attrs attribute.Set, bound, value string) {
	var labels []string
	for _, attr := range attrs.ToSlice() {
		labels = append(labels, plainName(string(attr.Key))+`="`+escaped(attr.Value.String())+`"`)
	}
	slices.Sort(labels)
	if bound != "" {
		labels = append(labels, `le="`+bound+`"`)
	}
	if len(labels) > 0 {
		name += "{" + strings.Join(labels, ",") + "}"
	}
	fmt.Fprintf(b, "%s %s\n", name, value)
}

func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text)
}

// nameOf is a metric's name with its unit, as OpenTelemetry advises for Prometheus.
func nameOf(m metricdata.Metrics) string {
	name := plainName(m.Name)
	if m.Unit == "s" {
		name += "_seconds"
	}
	return name
}

var otherLetters = lazyregexp.New(`[^A-Za-z0-9_]+`)

func plainName(name string) string { return otherLetters().ReplaceAllString(name, "_") }

func number(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
