//go:build unix

package rotate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
)

const nobody = 65534

func uidOf(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// A user who owns the folder and writes the state file gets no other file by root's next run.
func TestRootGivesNoFileAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	for name, put := range map[string]func(w *world, next string){
		"a link": func(w *world, next string) {
			require.NoError(w, os.Symlink(filepath.Join(w.dir, "victim"), next))
		},
		"another name": func(w *world, next string) {
			require.NoError(w, os.Link(filepath.Join(w.dir, "victim"), next))
		},
		"another pair": func(w *world, next string) {
			require.NoError(w, os.Rename(w.file, next))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := newWorld(t, certtokentest.GraphRules{})
				victim := filepath.Join(w.dir, "victim")
				require.NoError(t, os.WriteFile(victim, []byte("secret"), 0o600))
				made := rotate.KeyOf(w.newCert())
				state, err := json.Marshal(map[string]any{
					"version": 2, "step": "switch", "current": rotate.KeyOf(w.current()), "new": made,
				})
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(w.file+".rotation.json", state, 0o600))
				put(w, w.file+".next")
				require.NoError(t, os.WriteFile(w.file, []byte("broken"), 0o600))
				require.NoError(t, os.Chmod(w.file, 0o666))
				require.NoError(t, os.Chown(w.file, nobody, nobody))
				_, err = w.rotation.Advance(t.Context())
				require.ErrorContains(t, err, "rotate: switch: ", "it gets as far as that")
				info, err := os.Stat(victim)
				require.NoError(t, err)
				assert.Equal(t, os.FileMode(0o600), info.Mode())
				assert.Zero(t, uidOf(t, victim))
				data, err := os.ReadFile(w.file)
				require.NoError(t, err)
				assert.Equal(t, "broken", string(data))
			})
		})
	}
}

// One run as root doesn't lock the owner of the file out of what it makes beside it.
func TestWhatRootMakesIsTheOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{}, func(w *world) {
			require.NoError(w, os.Chown(w.file, nobody, nobody))
		})
		status, err := w.rotation.Begin(t.Context())
		require.NoError(t, err)
		require.Equal(t, rotate.StepConfirm, status.Step)
		for _, suffix := range []string{"", ".next", ".rotation.json", ".rotation.lock"} {
			assert.Equal(t, nobody, uidOf(t, w.file+suffix), suffix)
		}
	})
}
