package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
)

// roleEnv names what a process of this program does: nothing, for the one that a
// person starts, or one of the roles.
const roleEnv = "CERTTOKEN_BENCH_ROLE"

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
