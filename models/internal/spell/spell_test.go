package spell

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	words := []string{"name", "network", "memory", "resources"}
	for word, want := range map[string]string{
		"nmae": "name", "Name": "name", "netwrok": "network", "resource": "resources", "memry": "memory", "entirely": "", "": "", "x": "",
		strings.Repeat("n", 100): "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func TestShorten(t *testing.T) {
	if got := Shorten(strings.Repeat("é", 61)); got != strings.Repeat("é", 57)+"..." {
		t.Errorf("got %q", got)
	}
	if got := Shorten("short"); got != "short" {
		t.Errorf("got %q", got)
	}
}

// TestLookalikes holds the table against itself: pairs of a character and the ASCII letter it looks like.
func TestLookalikes(t *testing.T) {
	pairs := []rune(lookalikes)
	if len(pairs)%2 != 0 {
		t.Fatal("an odd number of characters")
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] < 128 || pairs[i+1] < 'a' || pairs[i+1] > 'z' {
			t.Errorf("%q looks like %q", pairs[i], pairs[i+1])
		}
	}
}
