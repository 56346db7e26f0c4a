package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/release/internal/licence"
)

// inventory is all that the document says.
type inventory struct {
	modules []own
	deps    map[string]dependency
	npm     map[string]map[string]int // by folder and licence
	newest  map[string]string         // by path: version and day, as the proxy had it
	asked   string                    // the day when it was asked
}

// mistakes are the licences that aren't allowed where they are.
func (inv inventory) mistakes() []string {
	var wrong []string
	for _, m := range inv.modules {
		list := licence.InTests
		if m.published() {
			list = licence.Shipped
		}
		for _, r := range m.Requires {
			if granted := inv.deps[r.id()].Licence; !licence.Allowed(granted, list) {
				wrong = append(wrong, fmt.Sprintf("%s requires %s, whose licence is %q", m.Name(), r.id(), granted))
			}
		}
	}
	for folder, count := range inv.npm {
		for granted := range count {
			if !licence.Allowed(granted, licence.InTests) {
				wrong = append(wrong, fmt.Sprintf("%s has a package whose licence is %q", folder, granted))
			}
		}
	}
	slices.Sort(wrong)
	return wrong
}

// render writes docs/dependencies.md.
func (inv inventory) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Dependencies

Written by `+"`go run ./release/dependencies`"+`; a test fails when a dependency isn't
here or has a licence that isn't allowed. Published modules may depend on
%s.
The newest releases are what the module proxy had on %s.

| dependency | version | of | licence | newest release | required by |
|---|---|---|---|---|---|
`, strings.Join(licence.Shipped, ", "), inv.asked)
	users := inv.users()
	for _, id := range slices.Sorted(maps.Keys(users)) {
		d := inv.deps[id]
		fmt.Fprintf(
			&b,
			"| %s | %s | %s | %s | %s | %s |\n",
			d.Path,
			d.Version,
			d.Released,
			d.Licence,
			inv.newest[d.Path],
			strings.Join(users[id], ", "),
		)
	}
	b.WriteString(`
## By module

What a module's packages are built of on any system, and what only its tests need,
or those of a dependency.

| module | built of, required by us | built of, required by those | in tests only |
|---|---|---|---|
`)
	for _, m := range inv.modules {
		if m.published() {
			direct, indirect, tests := m.split()
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Name(), names(direct), names(indirect), names(tests))
		}
	}
	fmt.Fprintf(&b, `
## Not published

These are never imported; they may also depend on %s.

| module | dependencies | licences |
|---|---|---|
`, strings.Join(licence.InTests[:len(licence.InTests)-len(licence.Shipped)], ", "))
	for _, m := range inv.modules {
		if !m.published() {
			count := map[string]int{}
			for _, r := range m.Requires {
				count[inv.deps[r.id()].Licence]++
			}
			fmt.Fprintf(&b, "| %s | %d | %s |\n", m.Name(), len(m.Requires), counts(count))
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(inv.npm)) {
		total := 0
		for _, n := range inv.npm[folder] {
			total += n
		}
		fmt.Fprintf(&b, "| %s (npm) | %d | %s |\n", folder, total, counts(inv.npm[folder]))
	}
	return b.String()
}

// users names the published modules by what they require.
func (inv inventory) users() map[string][]string {
	users := map[string][]string{}
	for _, m := range inv.modules {
		if m.published() {
			for _, r := range m.Requires {
				users[r.id()] = append(users[r.id()], m.Name())
			}
		}
	}
	return users
}

func (m own) split() (direct, indirect, tests []string) {
	for _, r := range m.Requires {
		switch {
		case !r.Built:
			tests = append(tests, r.Path)
		case r.Indirect:
			indirect = append(indirect, r.Path)
		default:
			direct = append(direct, r.Path)
		}
	}
	return direct, indirect, tests
}

func names(paths []string) string { return cmp.Or(strings.Join(paths, ", "), "none") }

func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(of[b]-of[a], strings.Compare(a, b))
	}) {
		parts = append(parts, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(parts, ", ")
}

var (
	askedOn = regexp.MustCompile(`module proxy had on (\S+)\.\n`)
	line    = regexp.MustCompile(`(?m)^\| (\S+) \| v\S+ \| [0-9-]+ \| [^|]+ \| (v\S+, [0-9-]+) \|`)
)

// remembered reads back what can't be looked up again: the newest releases of
// the day when the document was written.
func remembered(document string) (newest map[string]string, asked string) {
	newest = map[string]string{}
	for _, m := range line.FindAllStringSubmatch(document, -1) {
		newest[m[1]] = m[2]
	}
	if m := askedOn.FindStringSubmatch(document); m != nil {
		asked = m[1]
	}
	return newest, asked
}
