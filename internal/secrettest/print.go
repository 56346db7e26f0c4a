// Package secrettest looks for secrets in what a program might print of a value. The tests of
// the root package and of modules below ext share it.
package secrettest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Holder is somebody else's struct, in whose unexported field fmt calls no method.
type Holder[T any] struct {
	hidden T
	Shown  T
}

// Hold returns a holder of a value.
func Hold[T any](v T) Holder[T] { return Holder[T]{v, v} }

var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%t", "%p", "%T", "%U", "%e",
	"%c"}

// Print writes a value in every way that a program might print it. T is the type in which the
// program has it, as a pointer to an interface is printed otherwise than one to a struct.
func Print[T any](w io.Writer, v T) {
	inAny, inT := Hold[any](v), Hold(v)
	for _, wrap := range []any{v, &v, inT, &inT, inAny, &inAny, []T{v}, map[string]T{"k": v}} {
		for _, verb := range verbs {
			fmt.Fprintf(w, verb+"\n", wrap)
		}
		for _, encode := range []func(any) ([]byte, error){json.Marshal, xml.Marshal} {
			data, err := encode(wrap)
			fmt.Fprintf(w, "%s %v\n", data, err)
		}
		options := slog.HandlerOptions{Level: slog.LevelDebug}
		for _, handler := range []slog.Handler{slog.NewTextHandler(w, &options), slog.NewJSONHandler(w, &options)} {
			slog.New(handler).Debug("value", "value", wrap, slog.Group("group", "inner", wrap))
		}
	}
}

// Printed is what [Print] writes of values.
func Printed[T any](values ...T) string {
	var out strings.Builder
	for _, v := range values {
		Print(&out, v)
	}
	return out.String()
}
