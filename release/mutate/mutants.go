package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// mutant is one change of a file: what stands between two offsets is replaced.
type mutant struct {
	file       string // its path in the repository, for people
	path       string // its absolute path
	line, col  int
	function   string // that it is in; the name of a constant
	start, end int
	from, to   string
}

func (m mutant) String() string { return fmt.Sprintf("%s:%d:%d %s", m.file, m.line, m.col, m.change()) }

// change names the mutant without its place in the file, which moves.
func (m mutant) change() string {
	return fmt.Sprintf("%s: %s => %s", m.function, oneLine(m.from), oneLine(m.to))
}

func oneLine(code string) string { return strings.Join(strings.Fields(code), " ") }

// apply returns the file with the change.
func (m mutant) apply(src []byte) []byte {
	return slices.Concat(src[:m.start], []byte(m.to), src[m.end:])
}

// finder collects the mutants of a file.
type finder struct {
	fset     *token.FileSet
	src      []byte
	function string
	found    []mutant
}

// fileMutants finds what can be changed in a file's source.
func fileMutants(path string, src []byte) ([]mutant, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{fset: fset, src: src}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			f.function = d.Name.Name
			if d.Recv != nil {
				f.function = strings.TrimLeft(f.text(d.Recv.List[0].Type), "*") + "." + f.function
			}
			if d.Body != nil {
				ast.Inspect(d.Body, f.visit)
			}
		case *ast.GenDecl:
			f.bounds(d)
			f.function = "var"
			if d.Tok == token.VAR {
				ast.Inspect(d, f.visit)
			}
		}
	}
	return f.found, nil
}

func (f *finder) text(n ast.Node) string {
	return string(f.src[f.fset.Position(n.Pos()).Offset:f.fset.Position(n.End()).Offset])
}

// change replaces a node. The verb in format is the node's own text.
func (f *finder) change(n ast.Node, format string) {
	f.replace(n, fmt.Sprintf(format, f.text(n)))
}

func (f *finder) replace(n ast.Node, to string) {
	at := f.fset.Position(n.Pos())
	f.found = append(f.found, mutant{
		line: at.Line, col: at.Column, function: f.function,
		start: at.Offset, end: f.fset.Position(n.End()).Offset,
		from: f.text(n), to: to,
	})
}

var boundName = regexp.MustCompile(`(?i)(max|limit)`)

// bounds makes constants that are named as bounds a thousand times as large.
func (f *finder) bounds(d *ast.GenDecl) {
	if d.Tok != token.CONST {
		return
	}
	for _, spec := range d.Specs {
		values := spec.(*ast.ValueSpec)
		for i, value := range values.Values {
			if f.function = values.Names[i].Name; boundName.MatchString(f.function) {
				f.change(value, "1000 * (%s)")
			}
		}
	}
}

// Conditions are switched off by a constant before them, and not taken out, so that
// what they use stays used and the file compiles.
const (
	never  = "false && (%s)"
	always = "(true || (%s))"
)

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		if leaves(n.Body.List) {
			f.change(n.Cond, never)
		}
	case *ast.SwitchStmt:
		f.cases(n)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.CallExpr:
		f.call(n)
	}
	return true
}

// cases switches the guards off among the cases of a switch without a tag.
func (f *finder) cases(s *ast.SwitchStmt) {
	if s.Tag != nil {
		return
	}
	for _, stmt := range s.Body.List {
		clause := stmt.(*ast.CaseClause)
		for _, condition := range clause.List {
			if leaves(clause.Body) {
				f.change(condition, never)
			}
		}
	}
}

// leaves reports whether the statements end by leaving what they stand in, which
// makes their condition a guard of what follows.
func leaves(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	switch last := body[len(body)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt:
		call, ok := last.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		name, ok := call.Fun.(*ast.Ident)
		return ok && name.Name == "panic"
	}
	return false
}

var flipped = map[token.Token]string{
	token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
}

// binary drops each operand of && and ||, and flips comparisons. Those with nil are
// left alone: what returns an error for no error is always noticed.
func (f *finder) binary(e *ast.BinaryExpr) {
	switch to, comparison := flipped[e.Op]; {
	case e.Op == token.LAND, e.Op == token.LOR:
		without := map[token.Token]string{token.LAND: always, token.LOR: "(" + never + ")"}[e.Op]
		for _, operand := range []ast.Expr{e.X, e.Y} {
			if inner, ok := operand.(*ast.BinaryExpr); !ok || inner.Op != e.Op {
				f.change(operand, without)
			}
		}
	case comparison && f.text(e.X) != "nil" && f.text(e.Y) != "nil":
		f.replace(e, f.text(e.X)+" "+to+" "+f.text(e.Y))
	}
}

// call drops a bound: an operand of min and max, or the limit of a reader.
func (f *finder) call(c *ast.CallExpr) {
	switch name := f.text(c.Fun); {
	case (name == "min" || name == "max") && len(c.Args) == 2:
		f.replace(c, f.text(c.Args[0]))
		f.replace(c, f.text(c.Args[1]))
	case name == "io.LimitReader":
		f.replace(c, f.text(c.Args[0]))
	case name == "http.MaxBytesReader":
		f.replace(c, f.text(c.Args[1]))
	}
}
