package runtime

import (
	"io"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
)

// libcontainer takes an absent level for the most talkative one.
func TestProcessesLogNoMoreThanThisOne(t *testing.T) {
	before := logrus.GetLevel()
	t.Cleanup(func() { logrus.SetLevel(before) })
	LogTo(io.Discard, false)
	quiet, err := processOf(&specs.Process{})
	if err != nil {
		t.Fatal(err)
	}
	LogTo(io.Discard, true)
	verbose, err := processOf(&specs.Process{})
	if err != nil {
		t.Fatal(err)
	}
	if quiet.LogLevel != "4" || verbose.LogLevel != "5" {
		t.Errorf("levels %q and, with verbose, %q; want 4 and 5: logrus's for info and debug", quiet.LogLevel, verbose.LogLevel)
	}
}
