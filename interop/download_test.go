package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// pauses are those before a registry is asked again that has answered by an error, or not at
// all. The programs ask again by themselves too, but soon.
var pauses = []time.Duration{5 * time.Second, 20 * time.Second, time.Minute}

// download runs a command that fetches something, again and again where it fails.
func download(folder string, env []string, name string, args ...string) error {
	for _, pause := range pauses {
		if run(folder, env, name, args...) == nil {
			return nil
		}
		time.Sleep(pause)
	}
	return run(folder, env, name, args...)
}

// run runs a command, whose output is shown where it fails.
func run(folder string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, args[0], err, out)
	}
	return nil
}

// kept makes a folder of the user's cache, once. The name holds the versions of all that
// goes into it. A folder that fill has left unfinished is never used.
func kept(name string, fill func(folder string) error) (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(caches, "certtoken-interop")
	folder := filepath.Join(cache, name)
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(cache, "new-*")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := fill(unfinished); err != nil {
		return "", err
	}
	err = os.Rename(unfinished, folder)
	if _, there := os.Stat(folder); there == nil {
		return folder, nil // by another process, perhaps
	}
	return "", err
}

// mavenTurn is for one Maven at a time: two would write into the same files of the user's
// repository.
var mavenTurn sync.Mutex

const mavenDependency = "org.apache.maven.plugins:maven-dependency-plugin:3.10.0:"

// maven runs a goal of the plugin for dependencies in a folder. What couldn't be fetched before
// is asked for again (-U), and a connection that says nothing for a minute is given up.
func maven(folder, goal string, args ...string) error {
	mavenTurn.Lock()
	defer mavenTurn.Unlock()
	all := append([]string{
		"-q", "-B", "-U", "-Dmaven.wagon.http.connectionTimeout=60000", "-Dmaven.wagon.http.readTimeout=60000",
		"-Dmaven.wagon.rto=60000", "-Daether.connector.connectTimeout=60000", "-Daether.connector.requestTimeout=60000",
		mavenDependency + goal,
	}, args...)
	return download(folder, nil, "mvn", all...)
}

// npmPackages has npm install what the lock file of a folder names, unless that is there.
func npmPackages(folder string) error {
	if err := lacksNode(); err != nil {
		return err
	}
	installed := lockedPackages(filepath.Join(folder, "node_modules", ".package-lock.json"))
	if maps.Equal(lockedPackages(filepath.Join(folder, "package-lock.json")), installed) {
		return nil
	}
	return download(folder, nil, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts",
		"--fetch-retries=5", "--fetch-timeout=60000")
}

// lacksNode returns what is missing for Node.js's programs.
func lacksNode() error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return err
		}
	}
	return nil
}

// lockedPackages are the versions of the packages in a lock file; npm leaves one beside what
// it has installed. Without the file there are none.
func lockedPackages(file string) map[string]string {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var lock struct {
		Packages map[string]struct {
			Version  string
			Optional bool
		}
	}
	if json.Unmarshal(data, &lock) != nil {
		return nil
	}
	versions := make(map[string]string)
	for name, p := range lock.Packages {
		if name != "" && !p.Optional { // not the folder itself, nor what is for some systems only
			versions[name] = p.Version
		}
	}
	return versions
}

// constraints names the versions of all that comes with the packages of Python.
const constraints = "constraints.txt"

// pythonWith returns the interpreter of a virtual environment that has these packages. It is
// kept in the user's cache.
func pythonWith(packages ...string) (python string, err error) {
	base, err := exec.Command("python3", "-c", "import sys; print(sys.executable, sys.version)").Output()
	if err != nil {
		return "", fmt.Errorf("python3: %w", err)
	}
	limits, err := os.ReadFile(constraints)
	if err != nil {
		return "", err
	}
	limitsFile, err := filepath.Abs(constraints)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(strings.Join(packages, " ") + "\n" + string(base) + string(limits)))
	folder, err := kept("python-"+hex.EncodeToString(sum[:8]), func(folder string) error {
		if err := run("", nil, "python3", "-m", "venv", folder); err != nil {
			return err
		}
		return download("", nil, filepath.Join(folder, "bin", "python3"), append([]string{
			"-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "10",
			"--constraint", limitsFile,
		}, packages...)...)
	})
	return filepath.Join(folder, "bin", "python3"), err
}
