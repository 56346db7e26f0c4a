package agentfile

import (
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// Bounds of a file. Real ones have a page or two.
const (
	maxNodes      = 20_000
	maxIdentities = 1000
)

// Parse reads a configuration file. Its error is Mistakes.
func Parse(data []byte) (*File, error) {
	p := &parser{}
	root := p.document(data)
	f := &File{}
	if root != nil {
		p.file(root, f)
	}
	return f, p.mistakes.Err()
}

type parser struct{ mistakes Mistakes }

// document reads the YAML. It is nil if that isn't one mapping.
func (p *parser) document(data []byte) *yaml.Node {
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.mistakes.Add(0, "the file is empty")
		return nil
	case err != nil:
		p.syntax(err)
		return nil
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		p.mistakes.Add(more.Line, "the file has more than one document")
		return nil
	}
	nodes := 0
	if !p.plain(&doc, &nodes) {
		return nil
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		p.mistakes.Add(0, "the file must be a mapping: lines such as listen: 127.0.0.1:40400")
		return nil
	}
	return doc.Content[0]
}

var syntaxError = lazyregexp.New(`^yaml: (?:line (\d+): )?(.*)`)

// syntax notes an error of the YAML library. Its texts repeat nothing of the file but
// the names of anchors and tags.
func (p *parser) syntax(err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	m := syntaxError().FindStringSubmatch(text)
	if m == nil {
		p.mistakes.Add(0, "the file is not YAML")
		return
	}
	line, _ := strconv.Atoi(m[1]) // none is 0
	p.mistakes.Add(line, "this is not YAML: %s", m[2])
}

// plain refuses what makes a file hard to read, and large files: aliases can stand for
// more than any memory holds.
func (p *parser) plain(node *yaml.Node, nodes *int) bool {
	if *nodes++; *nodes > maxNodes {
		p.mistakes.Add(node.Line, "the file has too many values")
		return false
	}
	if node.Kind == yaml.AliasNode || node.Anchor != "" {
		p.mistakes.Add(node.Line, "anchors (&) and aliases (*) aren't taken: write the value, in quotes if it begins so")
		return false
	}
	for _, child := range node.Content {
		if !p.plain(child, nodes) {
			return false
		}
	}
	return true
}

func (p *parser) file(root *yaml.Node, f *File) {
	p.mapping(root, "the file", map[string]func(*yaml.Node){
		"listen":       func(n *yaml.Node) { f.Listen = p.texts(n, "listen") },
		"socket":       func(n *yaml.Node) { f.Socket = p.text(n, "socket") },
		"socket_mode":  func(n *yaml.Node) { f.SocketMode = p.text(n, "socket_mode") },
		"socket_group": func(n *yaml.Node) { f.SocketGroup = p.text(n, "socket_group") },
		"audit":        func(n *yaml.Node) { f.Audit = p.text(n, "audit") },
		"metrics":      func(n *yaml.Node) { f.Metrics = p.text(n, "metrics") },
		"identities": func(n *yaml.Node) {
			p.each(n, "identities", func(n *yaml.Node) { f.Identities = append(f.Identities, p.identity(n)) })
		},
	})
	if len(f.Identities) == 0 {
		p.mistakes.Add(0, "identities is missing: list at least one")
	}
	if len(f.Identities) > maxIdentities {
		p.mistakes.Add(0, "there are more than %d identities", maxIdentities)
	}
}

func (p *parser) identity(n *yaml.Node) Identity {
	id := Identity{Line: n.Line, Settings: map[string]Value{}}
	keys := map[string]func(*yaml.Node){
		"name":   func(n *yaml.Node) { id.Name = p.text(n, "name") },
		"scopes": func(n *yaml.Node) { id.Scopes = p.texts(n, "scopes") },
		"callers": func(n *yaml.Node) {
			p.each(n, "callers", func(n *yaml.Node) { id.Callers = append(id.Callers, p.caller(n)) })
		},
	}
	for _, key := range Settings {
		keys[key] = func(n *yaml.Node) { id.Settings[key] = p.text(n, key) }
	}
	if !p.mapping(n, "an identity", keys) {
		return id
	}
	if id.Name.Line == 0 {
		p.mistakes.Add(n.Line, "the identity has no name")
	}
	for _, key := range []string{"client_id", "certificate"} {
		if id.Settings[key].Line == 0 {
			p.mistakes.Add(n.Line, "the identity has no %s", key)
		}
	}
	if len(id.Scopes) == 0 {
		p.mistakes.Add(n.Line, "the identity has no scopes: nobody could be given anything")
	}
	if len(id.Callers) == 0 {
		p.mistakes.Add(n.Line, "the identity has no callers: nobody could be given anything")
	}
	return id
}

func (p *parser) caller(n *yaml.Node) Caller {
	var c Caller
	keys := map[string]func(*yaml.Node){"name": func(n *yaml.Node) { c.Name = p.text(n, "name") }}
	for _, kind := range Callers {
		keys[kind] = func(n *yaml.Node) {
			if c.Kind != "" {
				p.mistakes.Add(n.Line, "a caller is either %s or %s: begin another with a -", c.Kind, kind)
				return
			}
			c.Kind, c.Value = kind, p.text(n, kind)
		}
	}
	if p.mapping(n, "a caller", keys) && c.Kind == "" {
		p.mistakes.Add(n.Line, "the caller has none of %s", strings.Join(Callers, ", "))
	}
	if c.Kind == "anyone_on_socket" && c.Value.Text != "true" && c.Value.Line != 0 {
		p.mistakes.Add(c.Value.Line, "anyone_on_socket must be true, or be left out")
	}
	return c
}

// mapping calls the function of each key. It reports false if the node is no mapping.
func (p *parser) mapping(n *yaml.Node, what string, keys map[string]func(*yaml.Node)) bool {
	if n.Kind != yaml.MappingNode {
		p.mistakes.Add(n.Line, "%s must be a mapping of keys and values", what)
		return false
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		read, known := keys[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode || !known:
			p.unknown(key, what, keys)
		case seen[key.Value]:
			p.mistakes.Add(key.Line, "%s comes twice", key.Value)
		default:
			read(value)
		}
		seen[key.Value] = true
	}
	return true
}

var keyName = lazyregexp.New(`^[a-z_]{1,32}$`)

// unknown notes a key that doesn't belong there. It repeats the key only if it looks
// like one: what stands there by mistake may be a secret.
func (p *parser) unknown(key *yaml.Node, what string, keys map[string]func(*yaml.Node)) {
	if !keyName().MatchString(key.Value) {
		p.mistakes.Add(key.Line, "%s has an unknown key", what)
		return
	}
	hint := ""
	switch near := nearest(key.Value, keys); {
	case strings.Contains(key.Value, "password") || strings.Contains(key.Value, "secret"):
		hint = ": a secret stands in a file, which password_file or secret_file names"
	case near != "":
		hint = ": did you mean " + near + "?"
	}
	p.mistakes.Add(key.Line, "%s has no key %s%s", what, key.Value, hint)
}

// nearest is the key that differs from a mistyped one in at most two letters.
func nearest(typed string, keys map[string]func(*yaml.Node)) string {
	best, least := "", 3
	names := make([]string, 0, len(keys))
	for name := range keys {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if d := distance(typed, name); d < least {
			best, least = name, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			next := before
			if a[i] != b[j] {
				next = min(before, row[j], row[j+1]) + 1
			}
			before, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

// each calls a function for each element of a list.
func (p *parser) each(n *yaml.Node, what string, f func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.mistakes.Add(n.Line, "%s must be a list: lines that begin with -", what)
		return
	}
	for _, element := range n.Content {
		f(element)
	}
}

// texts reads a text or a list of them.
func (p *parser) texts(n *yaml.Node, what string) []Value {
	if n.Kind == yaml.ScalarNode {
		return []Value{p.text(n, what)}
	}
	var list []Value
	p.each(n, what, func(n *yaml.Node) { list = append(list, p.text(n, what)) })
	return list
}

// text reads a single value.
func (p *parser) text(n *yaml.Node, what string) Value {
	switch {
	case n.Kind != yaml.ScalarNode:
		p.mistakes.Add(n.Line, "%s must be a single value", what)
	case strings.TrimSpace(n.Value) == "" || n.Tag == "!!null":
		p.mistakes.Add(n.Line, "%s is empty", what)
	case strings.ContainsFunc(n.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		p.mistakes.Add(n.Line, "%s has a line end or another control character", what)
	}
	return Value{n.Value, n.Line}
}
