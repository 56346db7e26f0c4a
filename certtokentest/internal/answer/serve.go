package answer

import (
	"context"
	"net"
	"net/http"
	"strconv"
)

// Serve writes the answer to a connection. A [Buffer] takes it over as it is, so
// that the buffer's reader waits as it says.
func (a *Answer) Serve(w http.ResponseWriter, r *http.Request) {
	if b, ok := w.(*Buffer); ok {
		b.taken = a
		return
	}
	if wait(r.Context(), a.Delay) != nil {
		panic(http.ErrAbortHandler)
	}
	if a.Ending == Reset {
		reset(w)
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	if a.Ending != Endless {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	if a.BodyDelay > 0 {
		_ = http.NewResponseController(w).Flush()
		if wait(r.Context(), a.BodyDelay) != nil {
			panic(http.ErrAbortHandler)
		}
	}
	a.serveBody(r.Context(), w)
}

func (a *Answer) serveBody(ctx context.Context, w http.ResponseWriter) {
	switch a.Ending {
	case Cut:
		_ = a.write(ctx, w, a.Body[:len(a.Body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Endless:
		for {
			if a.write(ctx, w, a.Body) != nil {
				return
			}
		}
	default:
		_ = a.write(ctx, w, a.Body) // the client may have left
	}
}

// write writes a part of the body at once, or byte by byte.
func (a *Answer) write(ctx context.Context, w http.ResponseWriter, part []byte) error {
	if a.Drip <= 0 {
		_, err := w.Write(part)
		return err
	}
	out := http.NewResponseController(w)
	_ = out.Flush() // the header goes before the first pause
	for i := range part {
		if wait(ctx, a.Drip) != nil {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(part[i : i+1]); err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// reset breaks the connection so that the client sees a reset, not an end.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	raw := conn
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok { // under TLS
		raw = c.NetConn()
	}
	if tcp, ok := raw.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = raw.Close()
	panic(http.ErrAbortHandler)
}
