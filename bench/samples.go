package main

import "slices"

// samples are nanoseconds for an operation, one value for each round.
type samples []float64

func (s samples) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// over is the median of the ratios to another subject, round by round: what
// else the machine does in a round concerns both.
func (s samples) over(other samples) float64 {
	ratios := make(samples, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios.median()
}

// notMeasured says why a cell is empty.
const notMeasured = "not measured"

// cell is what a table says of samples.
func cell(s samples) string {
	if len(s) == 0 {
		return notMeasured
	}
	return nanos(s.median())
}
