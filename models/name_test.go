package models

import (
	"strings"
	"testing"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{"a", "7", "langid", "tiny-ocr", "a.b_c-d", strings.Repeat("x", 63)} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	const rule = "; write lower-case letters, digits and - . _, as in tiny-ocr"
	for name, want := range map[string]string{
		"":                       `name: empty` + rule,
		"a/b":                    `name "a/b": has a slash, and a name is not a path` + rule,
		"../x":                   `name "../x": has a slash, and a name is not a path` + rule,
		"..":                     `name "..": has two dots in a row` + rule,
		"a..b":                   `name "a..b": has two dots in a row` + rule,
		".hidden":                `name ".hidden": starts with '.'; start it with a letter or a digit`,
		"-rf":                    `name "-rf": starts with '-'; start it with a letter or a digit`,
		"LangID":                 `name "LangID": has the capital letter 'L'; write langid`,
		"lang id":                `name "lang id": character 5 is ' '` + rule,
		"a@1":                    `name "a@1": character 2 is '@'` + rule,
		"a\x00":                  `name "a\x00": character 2 is '\x00'` + rule,
		"a\nb":                   `name "a\nb": character 2 is '\n'` + rule,
		"a\xff":                  `name "a\xff": character 2 is the byte 0xff, which is not text` + rule,
		"l\u0430ngid":            `name "lаngid": character 2 is 'а' (U+0430, Cyrillic), which only looks like 'a'` + rule,
		"\u03bfcr":               `name "οcr": character 1 is 'ο' (U+03BF, Greek), which only looks like 'o'` + rule,
		"\uff4cang":              `name "ｌang": character 1 is 'ｌ' (U+FF4C, Latin), which only looks like 'l'` + rule,
		"lang\u200bid":           `name "lang\u200bid": character 5 is '\u200b' (U+200B)` + rule,
		"modèle":                 `name "modèle": character 4 is 'è' (U+00E8, Latin)` + rule,
		"a\u2215b":               `name "a∕b": character 2 is '∕' (U+2215)` + rule,
		strings.Repeat("x", 300): `name "` + strings.Repeat("x", 57) + `...": 300 characters, and the most is 63; write a shorter one`,
		strings.Repeat("x", 64):  `name "` + strings.Repeat("x", 57) + `...": 64 characters, and the most is 63; write a shorter one`,
	} {
		if err := CheckName(name); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", name, err, want)
		}
	}
	if err := CheckName(strings.Repeat("é", 300)); err == nil {
		t.Error("300 letters that are not ASCII passed")
	}
}

func TestCheckVersion(t *testing.T) {
	for _, version := range []string{"1", "1.0", "1.0.0", "2024.01.15", "1.0.0-rc.1", "1.0.0+build.5", "1.0.0-a-b+c", "10.20.30"} {
		if err := CheckVersion(version); err != nil {
			t.Errorf("%q: %v", version, err)
		}
	}
	const rule = "; write numbers with dots between, as in 1.0.0"
	for version, want := range map[string]string{
		"":                       `version: empty` + rule,
		"v1.0.0":                 `version "v1.0.0": starts with v; write 1.0.0`,
		"latest":                 `version "latest": not a version` + rule,
		"current":                `version "current": not a version` + rule,
		"1..0":                   `version "1..0": not a version` + rule,
		"../1":                   `version "../1": not a version` + rule,
		"1/2":                    `version "1/2": not a version` + rule,
		"1.0.0-":                 `version "1.0.0-": not a version` + rule,
		"1.0.0-..":               `version "1.0.0-..": not a version` + rule,
		"1.0\n":                  `version "1.0\n": not a version` + rule,
		"\u0661.0":               `version "١.0": character 1 is '١' (U+0661, Arabic)` + rule,
		"1.0.\u043e":             `version "1.0.о": character 5 is 'о' (U+043E, Cyrillic), which only looks like 'o'` + rule,
		strings.Repeat("1.", 40): `version "` + strings.Repeat("1.", 28) + `1...": 80 characters, and the most is 64; write a shorter one`,
	} {
		if err := CheckVersion(version); err == nil || err.Error() != want {
			t.Errorf("%q:\ngot  %v\nwant %s", version, err, want)
		}
	}
}

func TestParseRef(t *testing.T) {
	for ref, want := range map[string][2]string{"langid": {"langid", ""}, "langid@1.0.0": {"langid", "1.0.0"}} {
		name, version, err := ParseRef(ref)
		if err != nil || name != want[0] || version != want[1] {
			t.Errorf("%q: got %q, %q, %v", ref, name, version, err)
		}
	}
	for _, ref := range []string{"", "@1", "langid@", "langid@x", "a@1@2", "../x@1"} {
		if _, _, err := ParseRef(ref); err == nil {
			t.Errorf("%q passed", ref)
		}
	}
}
