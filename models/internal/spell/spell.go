// Package spell helps messages say what a person may have meant: it finds the nearest known word, names characters that
// only look right, and shortens what would not fit on a line. It knows no language, only letters.
package spell

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// lookalikes pairs letters that are easily taken for an ASCII one with that one.
const lookalikes = "аaеeоoрpсcуyхxіiјjѕsԁdһhӏlνvοoαaρpιiκkⅼlⅰiıiɡgℓl"

// scripts are those that a character is said to be of.
var scripts = []string{"Cyrillic", "Greek", "Han", "Hangul", "Arabic", "Hebrew", "Latin"}

// Rune names the first character of text, so that one who sees only its shape can find it.
func Rune(text string) string {
	r, width := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && width == 1 {
		return fmt.Sprintf("the byte 0x%02x, which is not text", text[0])
	}
	if r < utf8.RuneSelf {
		return strconv.QuoteRune(r)
	}
	name := fmt.Sprintf("%s (U+%04X", strconv.QuoteRune(r), r)
	for _, script := range scripts {
		if unicode.Is(unicode.Scripts[script], r) {
			name += ", " + script
		}
	}
	name += ")"
	pairs := []rune(lookalikes)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == r {
			return name + fmt.Sprintf(", which only looks like %q", pairs[i+1])
		}
	}
	if r >= 0xFF01 && r <= 0xFF5E { // the full-width forms stand in ASCII's order
		return name + fmt.Sprintf(", which only looks like %q", r-0xFEE0)
	}
	return name
}

// Shorten keeps a text to what fits into a message.
func Shorten(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-3]) + "..."
}

// Nearest gives the candidate that is most like word, the first of equals, or "" where none is within a third of its
// letters.
func Nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their neighbour to make b of a. Long words are held
// to be far apart.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
