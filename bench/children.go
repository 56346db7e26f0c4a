package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// roleEnv names what a process of this program does: nothing, for the one that a
// person starts, or one of the roles.
const roleEnv = "CERTTOKEN_BENCH_ROLE"

// roles are what a child does. It reads its task as JSON from the input, and writes
// what it has to tell as JSON to the output.
var roles = map[string]func(in *json.Decoder, out *json.Encoder) error{
	"endpoint": serveRush,
	"caller":   callRush,
}

// childMain is the whole of a child's life. It returns false where this process is none.
func childMain() bool {
	role, isChild := roles[os.Getenv(roleEnv)]
	if !isChild {
		return false
	}
	if err := role(json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %s: %v\n", os.Getenv(roleEnv), err)
		os.Exit(1)
	}
	return true
}

// child is a process of this program in one of its roles.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// startChild starts one and gives it its task.
func startChild(role string, task any, env ...string) (*child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env, cmd.Stderr = append(append(os.Environ(), roleEnv+"="+role), env...), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	c := &child{cmd: cmd, in: in, out: json.NewDecoder(out)}
	if err := json.NewEncoder(in).Encode(task); err != nil {
		return nil, errors.Join(err, c.end(nil))
	}
	return c, nil
}

// hear reads the next thing that the child tells.
func (c *child) hear(what any) error { return c.out.Decode(what) }

// end closes the child's input, which is the sign to end, reads the last thing that it
// tells, if there is to be one, and waits until it is over.
func (c *child) end(last any) error {
	err := c.in.Close()
	if last != nil {
		err = errors.Join(err, c.hear(last))
	}
	_, _ = io.Copy(io.Discard, c.out.Buffered())
	return errors.Join(err, c.cmd.Wait())
}
