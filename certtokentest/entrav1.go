package certtokentest

import (
	"strconv"
	"strings"
	"time"
)

// checkResource is checkScope of Entra ID's older endpoint, whose requests name
// a resource and no permissions.
func (c *call) checkResource() *refusal {
	resource := c.request.Form.Get("resource")
	switch {
	case resource == "":
		return missing("resource")
	case strings.ContainsAny(resource, " \t\r\n"):
		return refuse(500011, "The resource principal named %s was not found in the tenant named %s.", resource, c.route.tenant)
	case !c.server.grantsScope(strings.TrimSuffix(resource, "/") + "/.default"):
		return refuse(500011, "The resource principal named %s was not found in the tenant named %s. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.", resource, c.route.tenant)
	}
	c.resource, c.scopes = resource, []string{resource + "/.default"}
	if c.user != "" {
		c.scopes = []string{"user_impersonation"}
	}
	return nil
}

// resourceFields writes an answer as that endpoint does: numbers as text, with
// the very times.
func (c *call) resourceFields(body map[string]any, life time.Duration) {
	for _, name := range []string{"expires_in", "ext_expires_in", "refresh_in"} {
		if n, ok := body[name].(int64); ok {
			body[name] = strconv.FormatInt(n, 10)
		}
	}
	body["not_before"] = strconv.FormatInt(c.now.Unix(), 10)
	body["expires_on"] = strconv.FormatInt(c.now.Add(life).Unix(), 10)
	body["resource"] = c.resource
}
