// Package semver orders versions. It takes any text, so that an order exists also for what is not quite semver.
package semver

import "strings"

// Compare orders versions as semver does: numbers by value, a pre-release before its release, missing numbers as
// zero. Versions that semver holds equal are ordered by their text, so that the order is total.
func Compare(a, b string) int {
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
