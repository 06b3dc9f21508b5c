package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
)

// Check compares an output with what the case expects. The error shows both, shortened, and leaves it to the caller to name the case. A case without any expectation
// expects no output, as the exact output "" does.
func (g Golden) Check(output []byte) error {
	switch {
	case g.Match != "":
		re, err := regexp.Compile(g.Match)
		if err != nil {
			return fmt.Errorf("match %q: %w", g.Match, err)
		}
		if !re.Match(output) {
			return fmt.Errorf("expected output that matches %q, got %s", g.Match, excerpt(output))
		}
	case g.OutputSHA256 != "":
		sum := sha256.Sum256(output)
		if got := hex.EncodeToString(sum[:]); got != g.OutputSHA256 {
			return fmt.Errorf("expected output with sha256 %s, got %s: %s", g.OutputSHA256, got, excerpt(output))
		}
	default:
		want := bytes.TrimSuffix([]byte(g.Output), []byte("\n"))
		if !bytes.Equal(bytes.TrimSuffix(output, []byte("\n")), want) {
			return fmt.Errorf("expected output %s, got %s", excerpt(want), excerpt(output))
		}
	}
	return nil
}

// excerpt quotes the start of an output and says how long the whole is.
func excerpt(output []byte) string {
	const most = 200
	if len(output) <= most {
		return fmt.Sprintf("%q", output)
	}
	return fmt.Sprintf("%q... (%d bytes)", output[:most], len(output))
}
