package console

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// quiet is how long a wait may take before anything is shown.
	quiet = 2 * time.Second

	// beat is how often what is shown changes.
	beat = 250 * time.Millisecond

	// waitWidth is the most characters of the line: it must not wrap, or it couldn't be
	// erased.
	waitWidth = 72
)

// turning are the signs that take turns. They are ASCII, which every terminal shows.
const turning = `|/-\`

// StayStill shows nothing while the program waits: its standard error is for a program, or
// has other lines.
func (c *Console) StayStill() { c.waits = nil }

// Waiting shows on the terminal, from the third second on, what the program waits for and
// for how long, in a line that moves. The function that it returns erases the line and must
// be called before anything else is written. Where standard error is no terminal, nothing is
// shown.
func (c *Console) Waiting(what string) (done func()) {
	if c.waits == nil {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		showWait(c.waits, c.hide(what), stop)
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// showWait draws the line until stop is closed, and then erases it.
func showWait(w io.Writer, what string, stop <-chan struct{}) {
	begin := time.Now()
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	width := 0
	for turn := 0; ; turn++ {
		select {
		case <-stop:
			if width > 0 {
				fmt.Fprintf(w, "\r%s\r", strings.Repeat(" ", width))
			}
			return
		case <-timer.C:
			line := waitLine(what, time.Since(begin), turn)
			fmt.Fprint(w, "\r"+line)
			width = utf8.RuneCountInString(line)
			timer.Reset(beat)
		}
	}
}

func waitLine(what string, since time.Duration, turn int) string {
	text := []rune(Printable(what))
	if len(text) > waitWidth-10 {
		text = append(text[:waitWidth-11], '…')
	}
	return fmt.Sprintf("%c %s, %d s", turning[turn%len(turning)], string(text), int(since.Seconds()))
}

// EndOfInput names the keys by which a person ends the input at a terminal.
func EndOfInput() string {
	if runtime.GOOS == "windows" {
		return "Ctrl-Z and Enter"
	}
	return "Ctrl-D"
}
