package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/certtoken/certtoken/agent"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/systemd"
)

// watchPause is how often the configuration's files are looked at.
const watchPause = 2 * time.Second

// agentRun is an agent that runs.
type agentRun struct {
	cfg     *agentConfig
	clients *agentClients
	log     *agentLog
	console *console.Console
	reload  func(context.Context) (*agentConfig, error)

	agent    *agent.Agent
	sockets  []string // paths of those that are listened on
	notifier *systemd.Notifier
}

// runAgent serves until the context ends.
func runAgent(ctx context.Context, r *agentRun) error {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	defer signal.Stop(hangUp)
	made, err := agent.New(agent.Config{Identities: r.cfg.identities, Audit: r.log.audit})
	if err != nil {
		return failure.Usagef("%w", errors.New(strings.Join(r.cfg.textsOf(err), "\n")))
	}
	r.agent = made
	r.clients.forgetUnused()
	listeners, err := r.listen(ctx)
	if err != nil {
		return err
	}
	r.sockets = socketsOf(listeners)
	err = r.cfg.checkSockets(r.sockets)
	endMetrics := func() {}
	if err == nil {
		endMetrics, err = r.serveMetrics(ctx)
	}
	if err != nil {
		for _, listener := range listeners {
			_ = listener.Close() // the first error is the one to report
		}
		return err
	}
	defer endMetrics()
	ended := r.serve(listeners)
	r.notifier = systemd.NewNotifier()
	if err := r.announce(ctx, listeners); err != nil {
		return errors.Join(err, r.agent.Close())
	}
	return errors.Join(r.watch(ctx, hangUp, ended), r.end())
}

// listen opens the sockets: those that systemd hands over, and those of the
// configuration that aren't among them.
func (r *agentRun) listen(ctx context.Context) ([]net.Listener, error) {
	listeners, err := systemd.Listeners()
	if err != nil {
		return nil, failure.Errorf("%w", err)
	}
	there := map[string]bool{}
	for _, listener := range listeners {
		there[listener.Addr().String()] = true
	}
	add := func(listener net.Listener, err error) error {
		if err == nil {
			listeners = append(listeners, listener)
			return nil
		}
		for _, open := range listeners {
			_ = open.Close() // the first error is the one to report
		}
		return failure.Errorf("%w", failure.Clean(err))
	}
	for _, address := range r.cfg.file.Listen {
		if !there[address.Text] {
			if err := add(agent.Listen(ctx, address.Text)); err != nil {
				return nil, err
			}
		}
	}
	if path := r.cfg.file.Socket.Text; path != "" {
		path = besideConfig(r.cfg.path, path)
		if !there[path] {
			if err := add(r.listenSocket(ctx, path)); err != nil {
				return nil, err
			}
		}
	}
	return listeners, nil
}

// socketsOf are the paths of Unix sockets.
func socketsOf(listeners []net.Listener) []string {
	var paths []string
	for _, listener := range listeners {
		if addr := listener.Addr(); addr.Network() == "unix" {
			paths = append(paths, addr.String())
		}
	}
	return paths
}

func (r *agentRun) listenSocket(ctx context.Context, path string) (net.Listener, error) {
	mode, err := r.cfg.socketMode()
	if err != nil {
		return nil, err
	}
	group := r.cfg.file.SocketGroup.Text
	if group == "" {
		return agent.ListenUnix(ctx, path, mode)
	}
	gid, err := idOf(group, groupID)
	if err != nil {
		return nil, failure.Errorf("socket_group: %w", err)
	}
	// Only its owner can connect until the socket has its group: the mode would let in the
	// agent's own group before.
	listener, err := agent.ListenUnix(ctx, path, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Lchown(path, -1, int(gid)), os.Chmod(path, mode)); err != nil {
		return nil, errors.Join(failure.Errorf("socket_group: %w", err), listener.Close())
	}
	return listener, nil
}

// serve answers on the listeners. The channel gets the first error.
func (r *agentRun) serve(listeners []net.Listener) <-chan error {
	ended := make(chan error, len(listeners))
	for _, listener := range listeners {
		go func() {
			if err := r.agent.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				ended <- failure.Errorf("%w", failure.Clean(err))
			}
		}()
	}
	return ended
}

// serveMetrics answers scrapers, if the configuration says where.
func (r *agentRun) serveMetrics(ctx context.Context) (func(), error) {
	address := r.cfg.file.Metrics.Text
	if address == "" {
		return func() {}, nil
	}
	return r.clients.metrics.serve(ctx, address)
}

// announce says that the agent is there: to a person, the log and systemd.
func (r *agentRun) announce(ctx context.Context, listeners []net.Listener) error {
	var rows []row
	var addresses []string
	for _, listener := range listeners {
		address := listener.Addr().String()
		addresses = append(addresses, address)
		if listener.Addr().Network() == "unix" {
			rows = append(rows, row{"Socket", address})
		} else {
			rows = append(rows, row{"Endpoint", "http://" + address + agent.AppServicePath},
				row{"OAuth", "http://" + address + agent.OAuthPath})
		}
	}
	for _, id := range r.cfg.identities {
		rows = append(rows, row{"Identity", id.Name + ", " + id.ClientID})
	}
	printRows(r.console, rows)
	r.console.Printf("\nInterrupt it (Ctrl-C) to end it.\n")
	r.log.own.Info("ready", "listen", addresses, "identities", len(r.cfg.identities))
	r.warn(ctx)
	r.notify("READY=1", "STATUS=handing out tokens")
	return r.console.WriteError()
}

// warn logs what the readiness would say.
func (r *agentRun) warn(ctx context.Context) {
	for _, id := range r.agent.Health(ctx).Identities {
		if id.Problem != "" {
			r.log.own.Error("identity can't get tokens", "identity", id.Name, "problem", r.cfg.named(id.Problem))
		}
		if id.Warning != "" {
			r.log.own.Warn("identity will have a problem", "identity", id.Name, "warning", id.Warning)
		}
	}
}

func (r *agentRun) notify(states ...string) {
	if err := r.notifier.Notify(states...); err != nil {
		r.log.own.Warn("systemd can't be told", "error", err.Error())
	}
}

// watch reloads the configuration when its files change or the user says so, until the
// context ends or a listener fails.
func (r *agentRun) watch(ctx context.Context, hangUp <-chan os.Signal, ended <-chan error) error {
	stamps := r.cfg.stamps
	ticker := time.NewTicker(watchPause)
	defer ticker.Stop()
	looked := make(chan map[string]stamp, 1)
	for {
		var look func() map[string]stamp
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case <-hangUp:
			look = func() map[string]stamp { return r.again(ctx) }
		case <-ticker.C:
			look = func() map[string]stamp { return r.ifChanged(ctx, stamps) }
		}
		// A file may be on a mount that doesn't answer. The agent goes on with what it has, and can
		// be ended.
		go func() { looked <- look() }()
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case stamps = <-looked:
		}
	}
}

// ifChanged loads the configuration again if its files look another way than before.
func (r *agentRun) ifChanged(ctx context.Context, before map[string]stamp) map[string]stamp {
	if sameStamps(before, stampsOf(keysOf(before))) {
		return before
	}
	return r.again(ctx)
}

// again loads the configuration again. If it is mistaken, the one before stays. It
// returns what its files looked like before they were read.
func (r *agentRun) again(ctx context.Context) map[string]stamp {
	r.notify("RELOADING=1", "STATUS=reading the configuration")
	defer r.notify("READY=1", "STATUS=handing out tokens")
	if err := r.log.reopen(); err != nil {
		r.log.own.Error("the audit log can't be opened again", "error", err.Error())
	}
	if r.cfg.path == "" {
		return nil
	}
	next, err := r.reload(ctx)
	if err == nil {
		err = next.checkSockets(r.sockets)
	}
	if err == nil {
		err = r.agent.Update(next.identities)
	}
	if err != nil {
		r.log.own.Error("the configuration is mistaken: the one before stays in use", "mistakes", r.cfg.textsOf(err))
		return next.stamps
	}
	r.clients.forgetUnused()
	if placesOf(next) != placesOf(r.cfg) {
		r.log.own.Warn("a change of listen, socket, socket_mode, socket_group, audit or metrics needs a restart")
	}
	r.cfg = next
	r.log.own.Info("the configuration was read again", "identities", len(next.identities))
	r.warn(ctx)
	return next.stamps
}

// placesOf is what can't be changed while the agent runs.
func placesOf(c *agentConfig) string {
	f := c.file
	places := []string{f.Socket.Text, f.SocketMode.Text, f.SocketGroup.Text, f.Audit.Text, f.Metrics.Text}
	for _, address := range f.Listen {
		places = append(places, address.Text)
	}
	return strings.Join(places, "\n")
}

// end lets requests end that are under way.
func (r *agentRun) end() error {
	r.notify("STOPPING=1")
	if err := r.agent.Close(); err != nil {
		r.log.own.Warn("ended in a hurry", "error", err.Error())
	}
	r.log.own.Info("ended")
	return nil
}
