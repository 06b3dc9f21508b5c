// Package ui is what the command shows and takes at a terminal: raw mode for a sandbox's own terminal, and colours that
// are used only where a person sees them.
//
// It draws nothing that moves; a program's output never passes through it unless the program has a terminal.
package ui
