package models

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxName    = 63
	maxVersion = 64
)

// Their texts are patterns of the JSON Schema too.
var (
	namePattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
	versionPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?(\+[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?$`)
)

// lookalikes pairs letters that are easily taken for an ASCII one with that one.
const lookalikes = "аaеeоoрpсcуyхxіiјjѕsԁdһhӏlνvοoαaρpιiκkⅼlⅰiıiɡgℓl"

// CheckName refuses what is not a model's name: lower-case ASCII letters, digits and - . _, at most 63, the first a letter or
// a digit, no two dots in a row. A name that passes is safe as a file name.
func CheckName(name string) error {
	const rule = "write lower-case letters, digits and - . _, as in tiny-ocr"
	switch {
	case name == "":
		return fmt.Errorf("name: empty; %s", rule)
	case len(name) > maxName && isASCII(name):
		return fmt.Errorf("name %q: %d characters, and the most is %d; write a shorter one", shorten(name), len(name), maxName)
	case strings.Contains(name, "/"):
		return fmt.Errorf("name %q: has a slash, and a name is not a path; %s", shorten(name), rule)
	case strings.Contains(name, ".."):
		return fmt.Errorf("name %q: has two dots in a row; %s", shorten(name), rule)
	}
	for i, r := range name {
		first := i == 0
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', !first && strings.ContainsRune("-._", r):
		case r >= 'A' && r <= 'Z':
			return fmt.Errorf("name %q: has the capital letter %q; write %s", shorten(name), r, shorten(strings.ToLower(name)))
		case first && strings.ContainsRune("-._", r):
			return fmt.Errorf("name %q: starts with %q; start it with a letter or a digit", shorten(name), r)
		default:
			return fmt.Errorf("name %q: character %d is %s; %s",
				shorten(name), utf8.RuneCountInString(name[:i])+1, describeRune(r, name[i:]), rule)
		}
	}
	return nil
}

// CheckVersion refuses what is not a model's version: numbers with dots between, then perhaps a pre-release after - and a
// build after +, as in semver, in at most 64 ASCII characters.
func CheckVersion(version string) error {
	const rule = "write numbers with dots between, as in 1.0.0"
	switch {
	case version == "":
		return fmt.Errorf("version: empty; %s", rule)
	case len(version) > maxVersion && isASCII(version):
		return fmt.Errorf("version %q: %d characters, and the most is %d; write a shorter one", shorten(version), len(version), maxVersion)
	case versionPattern.MatchString(version):
		return nil
	case version[0] == 'v' && versionPattern.MatchString(version[1:]):
		return fmt.Errorf("version %q: starts with v; write %s", version, version[1:])
	}
	for i, r := range version {
		if r >= utf8.RuneSelf {
			return fmt.Errorf("version %q: character %d is %s; %s",
				shorten(version), utf8.RuneCountInString(version[:i])+1, describeRune(r, version[i:]), rule)
		}
	}
	return fmt.Errorf("version %q: not a version; %s", shorten(version), rule)
}

// ParseRef takes NAME or NAME@VERSION apart and checks both. version is empty where there is none.
func ParseRef(ref string) (name, version string, err error) {
	name, version, found := strings.Cut(ref, "@")
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	if found {
		if err := CheckVersion(version); err != nil {
			return "", "", err
		}
	}
	return name, version, nil
}

// CompareVersions orders versions as semver does: numbers by value, a pre-release before its release, missing numbers as
// zero. Versions that semver holds equal are ordered by their text, so that the order is total.
func CompareVersions(a, b string) int {
	aCore, aPre := splitVersion(a)
	bCore, bPre := splitVersion(b)
	if c := compareParts(aCore, bCore, "0"); c != 0 {
		return c
	}
	switch {
	case aPre == "" && bPre != "":
		return 1
	case aPre != "" && bPre == "":
		return -1
	}
	if c := compareParts(aPre, bPre, ""); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

func splitVersion(v string) (core, pre string) {
	v, _, _ = strings.Cut(v, "+")
	core, pre, _ = strings.Cut(v, "-")
	return core, pre
}

// compareParts compares lists with dots between, part by part; a list that ends early goes on with filler.
func compareParts(a, b, filler string) int {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(as), len(bs)) {
		x, y := filler, filler
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		if c := comparePart(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// comparePart puts the empty part first, then numbers by value, then words.
func comparePart(x, y string) int {
	xNumber, yNumber := isNumber(x), isNumber(y)
	switch {
	case xNumber && yNumber:
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if len(x) != len(y) {
			return len(x) - len(y)
		}
	case x != "" && y != "" && xNumber != yNumber:
		if xNumber {
			return -1
		}
		return 1
	}
	return strings.Compare(x, y)
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// describeRune names a character so that one who sees only its shape can find it. rest starts with it.
func describeRune(r rune, rest string) string {
	if _, width := utf8.DecodeRuneInString(rest); r == utf8.RuneError && width == 1 {
		return fmt.Sprintf("the byte 0x%02x, which is not text", rest[0])
	}
	if r < utf8.RuneSelf {
		return strconv.QuoteRune(r)
	}
	text := fmt.Sprintf("%s (U+%04X", strconv.QuoteRune(r), r)
	for _, script := range []string{"Cyrillic", "Greek", "Han", "Hangul", "Arabic", "Latin"} {
		if unicode.Is(unicode.Scripts[script], r) {
			text += ", " + script
		}
	}
	text += ")"
	pairs := []rune(lookalikes)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i] == r {
			return text + fmt.Sprintf(", which only looks like %q", pairs[i+1])
		}
	}
	if r >= 0xFF01 && r <= 0xFF5E { // the full-width forms stand in ASCII's order
		return text + fmt.Sprintf(", which only looks like %q", r-0xFEE0)
	}
	return text
}

// shorten keeps a message on a line, whatever was given.
func shorten(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-3]) + "..."
}

// nearest gives the candidate that is most like word, or "" where none is within a third of its letters.
func nearest(word string, candidates []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the letters to insert, delete, change or swap with their neighbour to make b of a.
func distance(a, b string) int {
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
