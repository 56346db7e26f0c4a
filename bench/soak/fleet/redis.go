package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var errNoRedis = errors.New("neither redis-server nor valkey-server is installed (apt-get install redis-server)")

// redisProgram is the server program that is installed.
func redisProgram() (string, error) {
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoRedis
}

// redisServer is a server process on loopback, which keeps nothing on disk.
type redisServer struct {
	addr    string
	client  *redis.Client // for what is done to it
	program string
	args    []string

	mu    sync.Mutex // guards the rest
	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has
}

const (
	redisStart = 2 * time.Minute // until it answers, on a busy machine
	redisWait  = time.Minute     // for what is done to it
)

func startRedis(program, dir string) (*redisServer, error) {
	for range 5 { // somebody else may take the port first
		host, port, err := freeAddress()
		if err != nil {
			return nil, err
		}
		s := &redisServer{program: program, addr: net.JoinHostPort(host, port)}
		s.args = []string{
			"--bind", host, "--port", port, "--dir", dir,
			"--save", "", "--daemonize", "no", "--loglevel", "warning",
		}
		if s.start() == nil {
			s.client = redis.NewClient(&redis.Options{
				Addr: s.addr, ContextTimeoutEnabled: true,
				DialTimeout: redisWait, ReadTimeout: redisWait, WriteTimeout: redisWait,
			})
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s doesn't start", program)
}

// freeAddress is an address of this machine where nobody listens, nor does later, while the
// server is gone for a moment: on Linux every address that begins with 127 is this machine's, and
// what other programs have the system choose are ports of 127.0.0.1.
func freeAddress() (host, port string, err error) {
	host = "127.0.0.1"
	if runtime.GOOS == "linux" {
		host = fmt.Sprintf("127.0.%d.%d", 1+rand.N(254), 1+rand.N(254))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", "", err
	}
	defer l.Close()
	return net.SplitHostPort(l.Addr().String())
}

// start starts the process and waits until it answers.
func (s *redisServer) start() error {
	cmd, ended := exec.Command(s.program, s.args...), make(chan struct{})
	cmd.SysProcAttr = endsWithUs()
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { _ = cmd.Wait(); close(ended) }()
	s.mu.Lock()
	s.cmd, s.ended = cmd, ended
	s.mu.Unlock()
	for limit := time.Now().Add(redisStart); time.Now().Before(limit); {
		select {
		case <-ended:
			return errors.New("redis ended at once")
		case <-time.After(20 * time.Millisecond):
		}
		if s.answers() {
			return nil
		}
	}
	s.kill()
	return fmt.Errorf("redis doesn't answer within %v", redisStart)
}

// answers sends a PING by hand: go-redis would log each try that is too early.
func (s *redisServer) answers() bool {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(redisWait)) // it may be frozen
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil && answer == "+PONG\r\n"
}

// kill ends the process at once, frozen or not.
func (s *redisServer) kill() {
	s.mu.Lock()
	cmd, ended := s.cmd, s.ended
	s.mu.Unlock()
	_ = cmd.Process.Kill()
	<-ended
}

// restart loses everything and has the workers' connections break.
func (s *redisServer) restart() error {
	s.kill()
	return s.start()
}

func (s *redisServer) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cmd.Process.Pid
}

func (s *redisServer) close() {
	_ = s.client.Close() // whose connections end with the process anyway
	s.kill()
}

// keys lists what is in it.
func (s *redisServer) keys(ctx context.Context) ([]string, error) {
	var keys []string
	scan := s.client.Scan(ctx, 0, "*", 100).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	return keys, scan.Err()
}

// endless counts the keys that never end by themselves.
func (s *redisServer) endless(ctx context.Context) (n, all int, err error) {
	keys, err := s.keys(ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, key := range keys {
		ttl, err := s.client.PTTL(ctx, key).Result()
		if err != nil {
			return 0, 0, err
		}
		if ttl == -1 { // as go-redis gives it; -2 is gone
			n++
		}
	}
	return n, len(keys), nil
}
