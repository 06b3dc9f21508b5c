package isolation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/moby/sys/capability"
)

// Capability returns the full name of a capability that may be written without its prefix and in any case:
// net_bind_service is CAP_NET_BIND_SERVICE. Source: capabilities(7).
func Capability(text string) (string, error) {
	name := strings.ToUpper(text)
	if !strings.HasPrefix(name, "CAP_") {
		name = "CAP_" + name
	}
	known := slices.ContainsFunc(capability.ListKnown(), func(c capability.Cap) bool {
		return "CAP_"+strings.ToUpper(c.String()) == name
	})
	if !known {
		return "", fmt.Errorf("no capability %q: write one of capabilities(7), such as NET_BIND_SERVICE", text)
	}
	return name, nil
}
