package console

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// waited is what a terminal gets of a wait.
func waited(t *testing.T, what string, d time.Duration) (text string) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		c := With(os.Stdin, t.Output(), t.Output())
		c.HideWith(func(text string) string { return strings.ReplaceAll(text, "secret", "[removed]") })
		c.waits = &screen
		done := c.Waiting(what)
		time.Sleep(d)
		done()
		text = screen.String()
	})
	return text
}

func TestWaiting(t *testing.T) {
	if got := waited(t, "asking", 1900*time.Millisecond); got != "" {
		t.Errorf("a short wait shows %q", got)
	}
	want := "\r| asking, 2 s\r/ asking, 2 s\r- asking, 2 s\r\\ asking, 2 s\r| asking, 3 s" +
		"\r" + strings.Repeat(" ", len("| asking, 3 s")) + "\r"
	if got := waited(t, "asking", 3100*time.Millisecond); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// No line is so long that it wraps, holds a secret, or does something to the terminal.
func TestWaitingIsOneLine(t *testing.T) {
	got := waited(t, "asking secret\x1b[31m\n"+strings.Repeat("ü", 200), 2100*time.Millisecond)
	line := strings.Split(got, "\r")[1]
	if len([]rune(line)) > waitWidth || strings.ContainsAny(line, "\x1b\n") || strings.Contains(line, "secret") {
		t.Errorf("%q", line)
	}
	if !strings.HasSuffix(got, "\r"+strings.Repeat(" ", len([]rune(line)))+"\r") {
		t.Errorf("not erased: %q", got)
	}
}

func TestNothingIsShownWhereNobodyLooks(t *testing.T) {
	c := With(os.Stdin, t.Output(), t.Output())
	c.waits = &bytes.Buffer{}
	c.StayStill()
	c.Waiting("asking")() // it neither writes nor hangs
	if c.waits != nil {
		t.Error("it would write")
	}
}
