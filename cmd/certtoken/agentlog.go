package main

import (
	"io"
	"log/slog"
	"os"
	"sync"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// agentLog is what the agent writes: what happens to it, and its decisions. Both are
// lines of JSON, which logging systems take apart.
type agentLog struct {
	own   *slog.Logger
	audit *slog.Logger // nil: decisions aren't written down
	file  *auditFile   // nil: they go to standard error
}

func newAgentLog(c *console.Console) *agentLog {
	return &agentLog{own: slog.New(slog.NewJSONHandler(c.Err, nil))}
}

// openAudit opens where the decisions go.
func (l *agentLog) openAudit(name string, quiet bool) error {
	switch {
	case quiet:
	case name == "":
		l.audit = l.own
	default:
		l.file = &auditFile{name: name, trouble: func(err error) {
			l.own.Error("decisions aren't written down: the audit file can't be written to", "error", err.Error())
		}}
		if err := l.file.reopen(); err != nil {
			return err
		}
		l.audit = slog.New(slog.NewJSONHandler(l.file, nil))
	}
	return nil
}

// reopen opens the file of the decisions again, which something may have moved away.
func (l *agentLog) reopen() error {
	if l.file == nil {
		return nil
	}
	return l.file.reopen()
}

func (l *agentLog) close() {
	if l.file != nil {
		_ = l.file.close() // the process ends
	}
}

// auditFile is a file that grows, and that may be replaced while it does.
type auditFile struct {
	name    string
	trouble func(error) // is told of the first failure of several

	mu      sync.Mutex
	file    io.WriteCloser
	failing bool
}

func (f *auditFile) reopen() error {
	opened, err := os.OpenFile(f.name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, modePrivate)
	if err != nil {
		return failure.Errorf("--audit: %w", failure.File(err))
	}
	f.mu.Lock()
	before := f.file
	f.file = opened
	f.mu.Unlock()
	if before != nil {
		_ = before.Close() // everything was written to it
	}
	return nil
}

// Write writes one record. The lock is held while it does: records must not mix, and
// the file's replacement waits for them. The logger that calls it drops the error.
func (f *auditFile) Write(p []byte) (int, error) {
	f.mu.Lock()
	n, err := f.file.Write(p)
	first := err != nil && !f.failing
	f.failing = err != nil
	f.mu.Unlock()
	if first {
		f.trouble(err)
	}
	return n, err
}

func (f *auditFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
