package models

import (
	"regexp"
	"sync"
)

// A pattern is a regular expression that is compiled when it is first used: most commands use none, and each start of a
// sandbox runs two.
type pattern struct {
	text    string
	compile func() *regexp.Regexp
}

func newPattern(text string) pattern {
	return pattern{text, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) })}
}

func (p pattern) String() string { return p.text }

func (p pattern) MatchString(s string) bool { return p.compile().MatchString(s) }

func (p pattern) FindStringSubmatch(s string) []string { return p.compile().FindStringSubmatch(s) }
