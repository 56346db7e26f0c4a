package main

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/selfsigned"
)

func TestParse(t *testing.T) {
	t.Setenv(envPassword, "x y")
	local, err := parse(nil)
	require.NoError(t, err)
	assert.Nil(t, local, "everything on this machine")
	tenant, err := parse([]string{"-tenant", "contoso.com", "-client-id", "id", "-cert", "private.pfx"})
	require.NoError(t, err)
	assert.Equal(t, []string{"id", "private.pfx", "x y"}, []string{tenant.clientID, tenant.certFile, tenant.password})
	_, err = parse([]string{"-h"})
	assert.ErrorIs(t, err, flag.ErrHelp)

	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"private.pfx"}, "no other arguments"},
		{[]string{"-tenant", "contoso.com", "-client-id", "id", "-cert", "private.pfx", "secret"},
			"no other arguments"},
		{[]string{"-tenant", "contoso.com", "-client-id", "id"}, "-cert is missing"},
		{[]string{"-tenant", "contoso.com", "-cert", "private.pfx"}, "-client-id is missing"},
		{[]string{"-client-id", "id", "-cert", "private.pfx"}, "-tenant is missing"},
		{[]string{"-scope", "x"}, "-tenant is missing"},
		{[]string{"-nothing"}, "-nothing"},
	} {
		_, err := parse(tt.args)
		var wrong usageError
		require.ErrorAs(t, err, &wrong, "%q", tt.args)
		assert.ErrorContains(t, err, tt.says)
		assert.NotContains(t, err.Error(), "secret")
	}
}

// Errors about the password say where it came from.
func TestPasswordErrors(t *testing.T) {
	dir := t.TempDir()
	cert, err := selfsigned.New(selfsigned.Options{Subject: "app"})
	require.NoError(t, err)
	_, err = selfsigned.WriteFiles(dir, cert, "right", selfsigned.WriteOptions{})
	require.NoError(t, err)
	args := []string{"-tenant", "contoso.com", "-client-id", "id", "-cert", filepath.Join(dir, "private.pfx")}
	for password, says := range map[string]string{
		"":      ": set AZURE_CLIENT_CERTIFICATE_PASSWORD",
		"wrong": ": it came from AZURE_CLIENT_CERTIFICATE_PASSWORD",
	} {
		t.Setenv(envPassword, password)
		err := run(t.Context(), args)
		require.ErrorContains(t, err, says)
		assert.NotContains(t, err.Error(), "the empty one was given")
	}
}
