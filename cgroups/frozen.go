package cgroups

import (
	"fmt"
	"os"
	"strings"
)

// Frozen tells whether the group is frozen, or about to be. A group that does not exist, or a host without a freezer, is
// not frozen.
func (g Group) Frozen() (bool, error) {
	for _, f := range g.freezeFiles() {
		state, err := os.ReadFile(f.path)
		if gone(err) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read freezer of cgroup %q: %w", g.path, err)
		}
		if strings.TrimSpace(string(state)) != f.release {
			return true, nil
		}
	}
	return false, nil
}
