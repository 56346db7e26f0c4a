package certfile

import "fmt"

// readFile reads one file into r, whatever is wrapped around its content. It
// returns only the errors that end the reading.
func readFile(r *reader, data []byte) error {
	if len(data) > maxFileSize {
		return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, maxFileSize)
	}
	for range maxLayers {
		if der := trimFiller(data); isWholeDER(der) {
			return readDER(r, der)
		}
		// ASCII in UTF-16 is ASCII with zeros in between: also where only a
		// part of the file is, because PowerShell appended it.
		if text := withoutPercent(withoutZeros(data)); hasBegin(text) || hasShortBegin(text) {
			r.format = "PEM"
			return readPEM(r, text)
		}
		data = toUTF8(data)
		if looksLikeDER(data) {
			return readDER(r, data)
		}
		if what := foreignKind(data); what != "" {
			return r.problem(formatError("it is %s", what))
		}
		inner, ok := unwrap(data)
		if !ok {
			break
		}
		data = inner
	}
	return r.problem(formatError("it is neither PFX nor PEM nor DER, nor base64 of them"))
}
