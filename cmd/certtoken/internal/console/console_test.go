package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"a ü 😀":          "a ü 😀",
		"a\nb\x1b[31m":   `a\u000ab\u001b[31m`,
		"a\u202eb":       `a\u202eb`,
		"a\U000e0001b":   `a\udb40\udc01b`,
		"a\u00a0b\u200b": `a\u00a0b\u200b`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Foreign text in JSON can do as little to a terminal as elsewhere, and stays what it is.
func TestPrintJSONIsPrintable(t *testing.T) {
	foreign := map[string]any{"a\x9bb\u202e": []string{"\x1b[31m\u009b2J", "\u200b\u2028\U000e0001\x7f", "ü 😀 <&>"}}
	raw := json.RawMessage("{\"x\": \"\u009b\u202e\"}")
	var out bytes.Buffer
	c := With(os.Stdin, &out, &out)
	for _, v := range []any{foreign, raw} {
		out.Reset()
		if err := c.PrintJSON(v); err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(out.String(), func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%q", out.String()[i:])
		}
		var got, want any
		before, _ := json.Marshal(v)
		if json.Unmarshal(out.Bytes(), &got) != nil || json.Unmarshal(before, &want) != nil ||
			!reflect.DeepEqual(got, want) {
			t.Errorf("%v became %v", want, got)
		}
	}
	if !strings.Contains(out.String(), "  \"x\"") {
		t.Errorf("not indented: %s", &out)
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                  nil,
		"one":               {"one"},
		"one two three":     {"one two", "three"},
		"one  two\nthree":   {"one two", "three"},
		"ä ö ü é è":         {"ä ö ü é", "è"},
		"a-word-of-its-own": {"a-word-of-its-own"},
	} {
		if got := Wrap(text, 7); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// Standard error is cleaned always, standard output only where Hide is called:
// what the user has asked for is printed there.
func TestHide(t *testing.T) {
	var out, err bytes.Buffer
	c := With(os.Stdin, &out, &err)
	if got := c.Hide("secret"); got != "secret" {
		t.Error(got)
	}
	c.HideWith(func(text string) string { return strings.ReplaceAll(text, "secret", "-") })
	c.Printf("secret %s", c.Hide("secret"))
	if n, writeErr := c.Err.Write([]byte("a secret")); n != len("a secret") || writeErr != nil {
		t.Errorf("%d, %v", n, writeErr)
	}
	if out.String() != "secret -" || err.String() != "a -" {
		t.Errorf("%q, %q", &out, &err)
	}
}

type fullDisk struct{ writes int }

func (d *fullDisk) Write([]byte) (int, error) {
	d.writes++
	return 0, errors.New("no space")
}

// The first failure of standard output is kept, and nothing is written after it.
func TestWriteError(t *testing.T) {
	disk := &fullDisk{}
	c := With(os.Stdin, disk, t.Output())
	if c.WriteError() != nil {
		t.Error(c.WriteError())
	}
	c.Printf("a")
	c.Printf("b")
	if c.WriteError() == nil || disk.writes != 1 {
		t.Errorf("%v after %d writes", c.WriteError(), disk.writes)
	}
	if err := c.PrintJSON("a"); err == nil {
		t.Error("no error")
	}
}

func TestStyled(t *testing.T) {
	c := With(os.Stdin, t.Output(), t.Output())
	if got := c.Styled(Bold, "a") + c.StyledErr(Red, "b"); got != "ab" {
		t.Errorf("%q", got)
	}
	c.colourOut = true
	if got := c.Styled(Bold, "a") + c.StyledErr(Red, "b"); got != "\x1b[1ma\x1b[0mb" {
		t.Errorf("%q", got)
	}
}
