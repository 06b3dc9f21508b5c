package models

import (
	"strings"
	"testing"
)

func TestGoldenCheck(t *testing.T) {
	const hello = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03" // of "hello\n"
	for _, c := range []struct {
		golden       Golden
		output, want string
	}{
		{Golden{Match: "^__label__de "}, "__label__de 0.99\n", ""},
		{Golden{Match: "^b"}, "a\nb\n", `expected output that matches "^b", got "a\nb\n"`},
		{Golden{Match: "(?m)^b"}, "a\nb\n", ""},
		{Golden{Match: "("}, "a", "match \"(\": error parsing regexp: missing closing ): `(`"},
		{Golden{Output: "seven"}, "seven\n", ""},
		{Golden{Output: "seven\n"}, "seven", ""},
		{Golden{Output: "seven"}, "seven\n\n", `expected output "seven", got "seven\n\n"`},
		{Golden{}, "", ""},
		{Golden{}, "noise", `expected output "", got "noise"`},
		{Golden{OutputSHA256: hello}, "hello\n", ""},
		{Golden{OutputSHA256: hello}, "hello", `expected output with sha256 ` + hello + `, got 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824: "hello"`},
		{Golden{Output: "x"}, strings.Repeat("y", 1000), `expected output "x", got "` + strings.Repeat("y", 200) + `"... (1000 bytes)`},
	} {
		got := ""
		if err := c.golden.Check([]byte(c.output)); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v with %.20q:\ngot  %s\nwant %s", c.golden, c.output, got, c.want)
		}
	}
}
