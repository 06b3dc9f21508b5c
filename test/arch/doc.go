// Package arch holds the project's architecture as tests: who may import whom, which package is the one door to each
// third-party library, how large a piece may grow, what no file may say, and that the README's commands exist.
//
// A rule is a row of a table with its reason beside it. Change a row in the commit that changes the design, not to make
// a test pass. The tests read source text and what the go command tells of imports; they say nothing about behaviour.
package arch
