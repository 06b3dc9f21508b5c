// Package internal holds no code: below it lies what commands share and nobody else may import, such as ui, the
// terminal. Anything that a second program could want belongs into a package at the top.
package internal
