package main

import (
	"runtime/debug"
	"slices"
	"strings"
)

// libraryVersions are those that this program was built with.
func libraryVersions() map[string]string {
	paths := map[string]string{
		"github.com/AzureAD/microsoft-authentication-library-for-go": nameMSAL,
		"github.com/Azure/azure-sdk-for-go/sdk/azidentity":           nameAzidentity,
		"golang.org/x/oauth2":          nameOAuth2,
		"github.com/golang-jwt/jwt/v5": "golang-jwt",
	}
	versions := make(map[string]string)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, dep := range info.Deps {
		if name, ok := paths[dep.Path]; ok {
			versions[name] = dep.Version
		}
	}
	return versions
}

// versionList names them in a line.
func versionList(versions map[string]string) string {
	list := make([]string, 0, len(versions))
	for name, version := range versions {
		list = append(list, name+" "+version)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
