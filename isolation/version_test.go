package isolation

import (
	"strings"
	"testing"
)

// Debian 12's crun 1.8 says "unknown version specified" to a specification of any version but 1.0.x.
func TestSpecIsOfAVersionThatEveryRuntimeTakes(t *testing.T) {
	if v := (Policy{}).Spec(Surroundings{}).Version; !strings.HasPrefix(v, "1.0.") {
		t.Errorf("version %q: want 1.0.x", v)
	}
}
