package console

// Style is how a text looks on a terminal: an SGR sequence (ECMA-48 §8.3.117).
type Style string

// The styles in use.
const (
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
)

// Styled returns a text for standard output in this style, or as it is where
// there is no colour.
func (c *Console) Styled(s Style, text string) string { return paint(c.colourOut, s, text) }

// StyledErr is Styled for standard error.
func (c *Console) StyledErr(s Style, text string) string { return paint(c.colourErr, s, text) }

func paint(on bool, s Style, text string) string {
	if !on {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}
