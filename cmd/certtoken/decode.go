package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

type decodeCommand struct {
	console *console
	json    bool
}

func newDecode(c *console) *cobra.Command {
	d := &decodeCommand{console: c}
	cmd := &cobra.Command{
		Use:   "decode",
		Short: "Show a JWT's header and claims",
		Long: `Reads a JWT from standard input, or the JSON of a token response, and shows its
header and claims, with times in local time. The signature is neither checked
nor printed.`,
		Example: `  certtoken token --scope api://orders/.default | certtoken decode
  certtoken decode --json < token.txt`,
		Args: noArgs,
		RunE: d.run,
	}
	cmd.Flags().BoolVar(&d.json, "json", false, "print JSON, without local times")
	inGroup(cmd.Flags(), flagsOutput)
	return cmd
}

func (d *decodeCommand) run(*cobra.Command, []string) error {
	if d.console.interactive() {
		fmt.Fprintln(d.console.err, "Paste the token, then press Enter and Ctrl-D.")
	}
	data, err := io.ReadAll(io.LimitReader(d.console.in, maxCertFile+1))
	if err != nil {
		return failf("standard input: %w", err)
	}
	parts, err := readJWT(string(data))
	if err != nil {
		return err
	}
	if d.json {
		return d.console.printJSON(parts)
	}
	d.show("header", parts.Header)
	d.show("claims", parts.Claims)
	return nil
}

func (d *decodeCommand) show(title string, object json.RawMessage) {
	d.console.printf("%s ", paint(d.console.colourOut, bold, title))
	for _, line := range indented(object) {
		text := printable(line)
		if at, ok := timeClaim(line); ok {
			text += "  " + paint(d.console.colourOut, dim, "// "+localTime(at, time.Now()))
		}
		d.console.printf("%s\n", text)
	}
}

func indented(object json.RawMessage) []string {
	var b bytes.Buffer
	if json.Indent(&b, object, "", "  ") != nil {
		return nil // splitJWT has parsed it
	}
	return strings.Split(b.String(), "\n")
}

// jwtParts are the two parts of a JWT that say something.
type jwtParts struct {
	Header json.RawMessage `json:"header"`
	Claims json.RawMessage `json:"claims"`
}

// readJWT reads a JWT, or the access_token of a token response (RFC 6749 §5.1).
func readJWT(text string) (*jwtParts, error) {
	trimmed := strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if !strings.HasPrefix(trimmed, "{") || len(text) > maxCertFile {
		return splitJWT(text)
	}
	var response map[string]json.RawMessage
	if json.Unmarshal([]byte(trimmed), &response) != nil {
		return nil, failf("this is no JWT: it begins as JSON and is broken")
	}
	var token string
	if json.Unmarshal(response["access_token"], &token) != nil || token == "" {
		return nil, failf("this is JSON without an access_token")
	}
	return splitJWT(token)
}

// splitJWT reads a JWT in compact form (RFC 7515 §7.1), as it is or as an
// Authorization header. Its errors repeat nothing of it.
func splitJWT(text string) (*jwtParts, error) {
	text = bearerPrefix.ReplaceAllString(strings.TrimSpace(text), "")
	text = strings.Trim(text, `"'`)
	segments := strings.Split(text, ".")
	switch {
	case text == "":
		return nil, failf("standard input is empty").advise("Pipe a token into it: certtoken token … | certtoken decode")
	case len(text) > maxCertFile:
		return nil, failf("standard input has over %d bytes", maxCertFile)
	case len(segments) == 5:
		return nil, failf("this is an encrypted token (JWE), which only its recipient can read")
	case len(segments) != 3:
		return nil, failf("this is no JWT: it has %d parts instead of 3", len(segments)).
			advise("Some servers grant opaque tokens, which only they can read.")
	}
	header, err := jwtObject(segments[0], "header")
	if err != nil {
		return nil, err
	}
	claims, err := jwtObject(segments[1], "claims")
	if err != nil {
		return nil, err
	}
	return &jwtParts{header, claims}, nil
}

var bearerPrefix = regexp.MustCompile(`(?i)^(authorization:\s*)?(bearer\s+)?`)

func jwtObject(segment, part string) (json.RawMessage, error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(segment, "="))
	if err != nil {
		return nil, failf("this is no JWT: its %s part isn't base64url", part)
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(data, &object) != nil || object == nil {
		return nil, failf("this is no JWT: its %s part isn't a JSON object", part)
	}
	return data, nil
}

var timeLine = regexp.MustCompile(`^  "(?:exp|nbf|iat|auth_time|updated_at|xms_tcdt)": (\d{1,12})(?:\.\d+)?,?$`)

// timeClaim recognises a claim that is a NumericDate (RFC 7519 §2).
func timeClaim(line string) (time.Time, bool) {
	m := timeLine.FindStringSubmatch(line)
	if m == nil {
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(m[1], 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// localTime is a time for people, and how far off it is.
func localTime(at, now time.Time) string {
	return at.Local().Format("2006-01-02 15:04:05 MST") + ", " + relative(at.Sub(now))
}

func relative(d time.Duration) string {
	if d.Abs() < time.Second {
		return "now"
	}
	if d < 0 {
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// span is a duration in the unit that suits it.
func span(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= 2*unit.size {
			return plural(int64(d/unit.size), unit.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}
