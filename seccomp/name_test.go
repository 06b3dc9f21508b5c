package seccomp

import "testing"

func TestCallNames(t *testing.T) {
	for name, want := range map[string]bool{"read": true, "_llseek": true, "pread64": true, "x": true, "": false, "64read": false, "Read": false, "re ad": false, "réad": false, "read\n": false} {
		if got := isCallName(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}
