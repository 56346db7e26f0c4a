package userinfo

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// No part of a password survives, however an error repeats the URL.
func TestHide(t *testing.T) {
	const user = "somebody"
	for _, password := range []string{
		"hunter2", "hun ter2", `hun"ter2`, `hun\ter2`, "hun/ter2", "hun?ter2", "hun#ter2", "hun@ter2", "hun:ter2",
		"hun%zzter2", "hun%20ter2", "hünter2", "hun\nter2", "12/hunter2", "hunter2://x",
	} {
		for _, format := range []string{
			"https://%s:%s@idp.example/token", "%s:%s@idp.example", "%s:%s@idp.example/token",
			"HTTPS://%s:%s@idp.example", "ldap://%s:%s@idp.example", "https:%s:%s@idp.example", "//%s:%s@idp.example",
			"adfs:%s:%s@sts.example",
		} {
			value := fmt.Sprintf(format, user, password)
			for name, h := range map[string]*Hider{
				"flag":        New([]string{"token", "--token-url", value}, nil),
				"flag=":       New([]string{"token", "--authority=" + value}, nil),
				"environment": New(nil, []string{"A=b", "HTTPS_PROXY=" + value}),
				"lower case":  New(nil, []string{"https_proxy=" + value}),
			} {
				_, parseErr := url.Parse(value)
				for _, text := range []string{
					value, fmt.Sprintf("%q", value), fmt.Sprintf("%q", fmt.Sprintf("parse %q", value)),
					url.QueryEscape(value), fmt.Sprint(parseErr), fmt.Sprintf("%q", fmt.Sprint(parseErr)),
				} {
					got := h.Hide(text)
					for _, part := range []string{"hun", "hün", "h%C3%BCn", "ter2"} {
						if strings.Contains(strings.ReplaceAll(got, removed, ""), part) {
							t.Errorf("%s, %q: %s", name, value, got)
						}
					}
				}
				if !In(value) {
					t.Errorf("%q: nothing found", value)
				}
			}
		}
	}
}

// Nothing of a URL is shown that stands behind its path.
func TestHideBehindPath(t *testing.T) {
	for _, secret := range []string{"hunter2", "hun%20ter2", "hun+ter2", "hünter2"} {
		for _, format := range []string{
			"https://idp.example/token?client_secret=%s", "https://idp.example/token#%s", "idp.example?%s",
			"https://idp.example/token?a=%s#b", "https://idp.example/token?a=b#%s", "contoso.com#a?b=%s",
			"adfs:sts.example?a=%s",
		} {
			value := fmt.Sprintf(format, secret)
			for name, h := range map[string]*Hider{
				"flag":        New([]string{"token", "--token-url", value}, nil),
				"tenant":      New([]string{"token", "--tenant=" + value}, nil),
				"environment": New(nil, []string{"AZURE_AUTHORITY_HOST=" + value}),
				"its tenant":  New(nil, []string{"AZURE_TENANT_ID=" + value}),
			} {
				texts := []string{value, fmt.Sprintf("%q", value), url.QueryEscape(value)}
				if u, err := url.Parse(value); err == nil {
					texts = append(texts, u.String(), u.RawQuery, u.Fragment, fmt.Sprintf("%q", u.Query()))
				}
				for _, text := range texts {
					got := h.Hide(text)
					for _, part := range []string{"hun", "hün", "h%C3%BCn", "ter2"} {
						if strings.Contains(got, part) {
							t.Errorf("%s, %q: %s", name, value, got)
						}
					}
				}
			}
		}
	}
	h := New([]string{"--cert", "https://store.example/a.pfx?sp=r&sig=hunter2"}, nil)
	got := h.Hide("open https://store.example/a.pfx?sp=r&sig=hunter2: no such file")
	if strings.Contains(got, "hunter2") {
		t.Error(got)
	}
}

func TestHideOther(t *testing.T) {
	h := New([]string{"serve", "--fail", "redirect:https://user:hunter2@x", "--addr", "user:hunter3@y",
		"--client-id", "//user:hunter4@z/"}, nil)
	for text, want := range map[string]string{
		`--fail "redirect:https://user:hunter2@x" is unknown`: `--fail "redirect:https://[removed]@x" is unknown`,
		`--addr "user:hunter3@y"`:                             `--addr "[removed]@y"`,
		"moved to https://a:b@c/":                             "moved to https://[removed]@c/",
		"mail a@b.example":                                    "mail a@b.example",
		"the path //user:hunter4@z/":                          "the path [removed]@z/",
	} {
		if got := h.Hide(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := new(Hider).Hide("https://a:b@c"); got != "https://[removed]@c" {
		t.Error(got)
	}
}

// What has no user stays as it is.
func TestNothingToHide(t *testing.T) {
	for _, value := range []string{
		"https://idp.example/@tenant/token", "https://localhost/a@b", "https://[::1]:8443/a@b",
		"https://idp.example:8443/?a=b@c",
		"entra", "https://idp.example", "", "login.microsoftonline.com",
	} {
		if In(value) {
			t.Errorf("%q has a user", value)
		}
	}
	h := New([]string{`C:\Users\me@x\a.pfx`, "me@x.example", "--subject", "CN=a,E=me@x.example", "a b:c@d"},
		[]string{"X=a:b@c"})
	for _, text := range []string{`C:\Users\me@x\a.pfx: no such file`, "me@x.example", "CN=a,E=me@x.example", "a:b@c"} {
		if got := h.Hide(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}
