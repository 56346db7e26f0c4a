package main

import "testing"

func TestGraphScope(t *testing.T) {
	for origin, want := range map[string]string{
		"https://login.microsoftonline.com":      "https://graph.microsoft.com/.default",
		"https://login.microsoftonline.us":       "https://graph.microsoft.us/.default",
		"https://login.chinacloudapi.cn":         "https://microsoftgraph.chinacloudapi.cn/.default",
		"https://127.0.0.1:8443":                 "https://graph.microsoft.com/.default",
		"https://westeurope.login.microsoft.com": "https://graph.microsoft.com/.default",
		"https://login.microsoftonline.us:8443":  "https://graph.microsoft.com/.default",
	} {
		if got := graphScope(origin); got != want {
			t.Errorf("%s: %s, want %s", origin, got, want)
		}
	}
}
