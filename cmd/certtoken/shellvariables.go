package main

import "strings"

// variable is one to set, or to remove if its value is "".
type variable struct{ name, value string }

// shells write variables for a shell to run.
var shells = map[string]func([]variable) string{
	"sh": func(vars []variable) string {
		return lines(vars, exportLine) + noProxySh
	},
	"powershell": func(vars []variable) string {
		return lines(vars, powershellLine) +
			"$env:NO_PROXY = (@('127.0.0.1', 'localhost', $env:NO_PROXY) | Where-Object { $_ }) -join ','\n"
	},
	"cmd": func(vars []variable) string {
		escape := strings.NewReplacer("%", "%%", `"`, `""`)
		return lines(vars, func(v variable) string { return `set "` + v.name + "=" + escape.Replace(v.value) + `"` }) +
			"set \"NO_PROXY=127.0.0.1,localhost,%NO_PROXY%\"\n"
	},
	"dotenv": func(vars []variable) string {
		return lines(vars, func(v variable) string { return v.name + "=" + v.value }) + "NO_PROXY=127.0.0.1,localhost\n"
	},
}

func powershellLine(v variable) string {
	if v.value == "" {
		return "$env:" + v.name + " = $null"
	}
	return "$env:" + v.name + " = '" + powershellQuotes.Replace(v.value) + "'"
}

// powershellQuotes doubles what ends a text in single quotes. PowerShell takes typographic
// quotation marks for one too, which may stand in the name of a folder.
var powershellQuotes = strings.NewReplacer("'", "''", "‘", "‘‘", "’", "’’", "‚", "‚‚", "‛", "‛‛")

func exportLine(v variable) string {
	if v.value == "" {
		return "unset " + v.name
	}
	return "export " + v.name + "=" + shellQuote(v.value)
}

// noProxySh keeps requests to the agent, which carry the secret, away from a proxy.
// Libraries read the variable in either case.
const noProxySh = `export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}"
export no_proxy="$NO_PROXY"
`

func lines(vars []variable, line func(variable) string) string {
	var b strings.Builder
	for _, v := range vars {
		b.WriteString(line(v) + "\n")
	}
	return b.String()
}
