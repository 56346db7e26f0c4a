package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/selfsigned"
)

// coldStart is a program from its start to its token, over TLS on loopback.
type coldStart struct {
	program  string
	runs     int
	wall     []time.Duration // until the token is there, sorted
	cpu      []time.Duration // of the whole process, sorted
	size     int64           // of the program, in bytes
	requests float64         // for each run: for a token,
	others   float64         // for anything else,
	opened   float64         // and connections
}

const (
	nameCommand = "the command `certtoken token`"
	nameLibrary = "certtoken"
)

// coldPrograms are built from this repository, each with nothing in it but what it needs.
var coldPrograms = []struct{ name, dir string }{
	{subjectHand, "coldstart/byhand"},
	{nameLibrary, "coldstart/library"},
	{nameCommand, "../cmd/certtoken"},
	{nameMSAL, "coldstart/msal"},
	{nameAzidentity, "coldstart/azidentity"},
}

// measureColdStart has the programs take turns.
func measureColdStart(cfg settings, id identity, bench string) (results []coldStart, err error) {
	dir, err := os.MkdirTemp("", "certtoken-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	pem, err := selfsigned.EncodePEM(id.cert)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "client.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		return nil, err
	}
	starters := make([]*starter, len(coldPrograms))
	defer func() {
		for i, s := range starters {
			if s != nil {
				err = errors.Join(err, s.end())
				results[i] = s.coldStart
			}
		}
	}()
	results = make([]coldStart, len(coldPrograms))
	for i, p := range coldPrograms {
		if starters[i], err = newStarter(p.name, filepath.Join(bench, p.dir), dir, file); err != nil {
			return results, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for range cfg.starts {
		for _, s := range starters {
			if err := s.run(); err != nil {
				return results, fmt.Errorf("%s: %w", s.program, err)
			}
		}
	}
	return results, nil
}

// starter starts a program again and again, at an endpoint of its own.
type starter struct {
	coldStart
	server *child
	args   []string
	env    []string
}

func newStarter(name, source, dir, file string) (*starter, error) {
	program := filepath.Join(dir, filepath.Base(source))
	build := exec.Command("go", "build", "-C", source, "-o", program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	server, err := startChild("endpoint", true)
	if err != nil {
		return nil, err
	}
	s := &starter{coldStart: coldStart{program: name}, server: server}
	var at struct{ Host, Certificate string }
	if err := server.hear(&at); err != nil {
		return nil, errors.Join(err, server.end(nil))
	}
	roots := program + ".roots"
	info, err := os.Stat(program)
	if err = errors.Join(err, os.WriteFile(roots, []byte(at.Certificate), 0o600)); err != nil {
		return nil, errors.Join(err, server.end(nil))
	}
	s.size = info.Size()
	s.args = []string{program, at.Host, file}
	if name == nameCommand {
		s.args = []string{
			program, "token", "--token-url", "https://" + at.Host + "/" + tenant + "/oauth2/v2.0/token", "--alg", "PS256",
			"--client-id", clientID, "--cert", file, "--scope", "https://graph.microsoft.com/.default",
		}
	}
	s.env = []string{"SSL_CERT_FILE=" + roots, "HOME=" + dir}
	return s, nil
}

// run starts the program and waits for its token.
func (s *starter) run() error {
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Env, cmd.Stderr = s.env, os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	token, _ := bufio.NewReader(out).ReadString('\n')
	took := time.Since(start)
	if err := cmd.Wait(); err != nil {
		return err
	}
	if len(strings.TrimSpace(token)) != tokenSize {
		return errors.New("it printed no token")
	}
	s.runs++
	s.wall = append(s.wall, took)
	s.cpu = append(s.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	return nil
}

// end ends the endpoint and takes what it has seen.
func (s *starter) end() error {
	var seen sight
	err := s.server.end(&seen)
	slices.Sort(s.wall)
	slices.Sort(s.cpu)
	runs := float64(max(s.runs, 1))
	s.requests, s.others, s.opened = float64(seen.Requests)/runs, float64(seen.Others)/runs, float64(seen.Opened)/runs
	return err
}

func (s *coldStart) of(what []time.Duration, part float64) time.Duration {
	return what[min(len(what)-1, int(part*float64(len(what))))]
}

// coldStartChecks hold the command and the library against a program by hand. The
// processor's time is compared: that others were there at the same time changes it least.
func coldStartChecks(all []coldStart) (list []check) {
	var hand coldStart
	for _, s := range all {
		switch s.program {
		case subjectHand:
			hand = s
		case nameLibrary, nameCommand:
			list = append(list,
				atMost(fmt.Sprintf("cold start of %s : a program of 100 lines by hand", s.program),
					s.of(s.cpu, 0.5).Seconds()/hand.of(hand.cpu, 0.5).Seconds(), coldStartLimits[s.program], " ×"),
				atMost(fmt.Sprintf("requests in a cold start of %s, whatever they are for", s.program), s.requests+s.others, 1, ""),
				atMost("connections in it", s.opened, 1, ""))
		}
	}
	return list
}

var coldStartLimits = map[string]float64{nameLibrary: 1.2, nameCommand: 1.18}

func coldStartTable(line func(string, ...any), all []coldStart) {
	if len(all) == 0 {
		return
	}
	line("## From a program's start to its token")
	line("")
	line("| %d starts each | fastest | median | on the processor, median | requests for a token | others | connections | size |",
		all[0].runs)
	line("|---|---|---|---|---|---|---|---|")
	for _, s := range all {
		line("| %s | %s | %s | %s | %s | %s | %s | %.1f MB |", label(s.program), duration(s.of(s.wall, 0)),
			duration(s.of(s.wall, 0.5)), duration(s.of(s.cpu, 0.5)), number(s.requests), number(s.others), number(s.opened),
			float64(s.size)/1e6)
	}
	line("")
	line("Each is a program of its own ([coldstart](coldstart)) that reads a PEM file, asks a token endpoint with TLS on " +
		"loopback, prints the token and ends; they take turns. MSAL Go and azidentity are told that the host isn't " +
		"Microsoft's, which saves them a request for instance discovery.")
	line("")
}
