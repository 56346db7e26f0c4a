package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// allTargets are the systems that a release is for.
const allTargets = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

// target is a system that the command is built for.
type target struct{ os, arch string }

func (t target) String() string { return t.os + "/" + t.arch }

// command is the name of the program's file.
func (t target) command() string {
	if t.os == "windows" {
		return "certtoken.exe"
	}
	return "certtoken"
}

func parseTargets(list string) ([]target, error) {
	var targets []target
	for text := range strings.SplitSeq(list, ",") {
		goos, arch, _ := strings.Cut(text, "/")
		t := target{goos, arch}
		if !slices.Contains(strings.Split(allTargets, ","), text) {
			return nil, fmt.Errorf("%q is not one of %s", text, allTargets)
		}
		if slices.Contains(targets, t) {
			return nil, fmt.Errorf("%s is named twice", text)
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// compile builds the command for a system and returns its file.
func (r release) compile(t target, work string) (string, error) {
	folder := filepath.Join(work, t.os+"_"+t.arch)
	args := []string{folder}
	env := []string{"GOOS=" + t.os, "GOARCH=" + t.arch}
	if r.tag != "" {
		args = append(args, r.tag)
	} else {
		env = append(env, "CHECKOUT_VERSION=v"+r.version)
	}
	if _, err := r.run(env, filepath.Join(r.root, "release/build.sh"), args...); err != nil {
		return "", err
	}
	return filepath.Join(folder, t.command()), nil
}
