package tokenproxy

import (
	"context"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/connections"
)

// A dead connection is noticed, as over the library's other transports, and an error has
// no advice about an option that excludes the proxy.
func TestTransport(t *testing.T) {
	p, err := New(Config{URL: "https://proxy.example"})
	require.NoError(t, err)
	require.NotNil(t, p.transport.HTTP2)
	assert.Equal(t, connections.DefaultHealth.Silence, p.transport.HTTP2.SendPingTimeout)
	assert.Equal(t, connections.DefaultHealth.Answer, p.transport.HTTP2.PingTimeout)
	assert.Equal(t, idleConnections, p.transport.MaxIdleConnsPerHost)
	assert.Nil(t, p.transport.Proxy)
	server := &url.URL{Scheme: "https", Host: "login.example"}
	err = connections.Explain(p, server, context.DeadlineExceeded)
	assert.NotContains(t, err.Error(), "WithHTTPClient")
}
