package semver

import (
	"cmp"
	"testing"
)

// TestOrder compares each pair of a list that is in order, in both directions.
func TestOrder(t *testing.T) {
	ordered := []string{
		"0.9", "1-alpha", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1", "1.0", "1.0.0", "1.0.0+build",
		"1.0.1", "1.9.0", "1.10.0", "2024.01.15", "2024.1.16", "99999999999999999999999",
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := cmp.Compare(Compare(a, b), 0), cmp.Compare(i, j); got != want {
				t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}
