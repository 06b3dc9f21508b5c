package models

import (
	"mmbox/models/internal/spell"

	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxName    = 63
	maxVersion = 64
)

// Their texts are patterns of the JSON Schema too.
var (
	namePattern    = newPattern(`^[a-z0-9][a-z0-9._-]*$`)
	versionPattern = newPattern(`^[0-9]+(\.[0-9]+)*(-[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?(\+[0-9A-Za-z]+([.-][0-9A-Za-z]+)*)?$`)
)

// CheckName refuses what is not a model's name: lower-case ASCII letters, digits and - . _, at most 63, the first a letter or
// a digit, no two dots in a row. A name that passes is safe as a file name.
func CheckName(name string) error {
	const rule = "write lower-case letters, digits and - . _, as in tiny-ocr"
	switch {
	case name == "":
		return fmt.Errorf("name: empty; %s", rule)
	case len(name) > maxName && isASCII(name):
		return fmt.Errorf("name %q: %d characters, and the most is %d; write a shorter one", spell.Shorten(name), len(name), maxName)
	case strings.Contains(name, "/"):
		return fmt.Errorf("name %q: has a slash, and a name is not a path; %s", spell.Shorten(name), rule)
	case strings.Contains(name, ".."):
		return fmt.Errorf("name %q: has two dots in a row; %s", spell.Shorten(name), rule)
	}
	for i, r := range name {
		first := i == 0
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', !first && strings.ContainsRune("-._", r):
		case r >= 'A' && r <= 'Z':
			return fmt.Errorf("name %q: has the capital letter %q; write %s", spell.Shorten(name), r, spell.Shorten(strings.ToLower(name)))
		case first && strings.ContainsRune("-._", r):
			return fmt.Errorf("name %q: starts with %q; start it with a letter or a digit", spell.Shorten(name), r)
		default:
			return fmt.Errorf("name %q: character %d is %s; %s",
				spell.Shorten(name), utf8.RuneCountInString(name[:i])+1, spell.Rune(name[i:]), rule)
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
		return fmt.Errorf("version %q: %d characters, and the most is %d; write a shorter one", spell.Shorten(version), len(version), maxVersion)
	case versionPattern.MatchString(version):
		return nil
	case version[0] == 'v' && versionPattern.MatchString(version[1:]):
		return fmt.Errorf("version %q: starts with v; write %s", version, version[1:])
	}
	for i, r := range version {
		if r >= utf8.RuneSelf {
			return fmt.Errorf("version %q: character %d is %s; %s",
				spell.Shorten(version), utf8.RuneCountInString(version[:i])+1, spell.Rune(version[i:]), rule)
		}
	}
	return fmt.Errorf("version %q: not a version; %s", spell.Shorten(version), rule)
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

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
