package vm

import (
	"io"
	"regexp"
	"strings"
	"sync"
)

// consoleKeep is how much of the kernel's console is kept for reports, in bytes.
const consoleKeep = 64 << 10

// console keeps the end of what the guest's kernel wrote and remembers whether it died. Safe for concurrent use.
type console struct {
	mu    sync.Mutex
	tail  []byte
	crash string    // first line that says the kernel died
	line  []byte    // unfinished line
	copy  io.Writer // may be nil
}

// crashLine matches what Linux prints when it is beyond help. The guest boots with oops=panic, so an oops ends it too.
var crashLine = regexp.MustCompile(`Kernel panic - not syncing|\bOops: [0-9a-f]{4}|\bBUG: (unable to handle|kernel NULL|stack guard)|` +
	`kernel BUG at |general protection fault, |Unable to mount root fs|---\[ end Kernel panic`)

// Write implements io.Writer. It never fails: a lost copy of the console must not stop the machine.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail = append(c.tail, p...)
	if over := len(c.tail) - consoleKeep; over > 0 {
		c.tail = append(c.tail[:0], c.tail[over:]...)
	}
	for _, b := range p {
		if b != '\n' {
			if len(c.line) < 4096 {
				c.line = append(c.line, b)
			}
			continue
		}
		if c.crash == "" && crashLine.Match(c.line) {
			c.crash = cleanConsole(string(c.line))
		}
		c.line = c.line[:0]
	}
	if c.copy != nil {
		if _, err := c.copy.Write(p); err != nil {
			c.copy = nil
		}
	}
	return len(p), nil
}

// died returns the line by which the kernel said so, or "".
func (c *console) died() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crash
}

// last returns at most the last n lines, in plain text.
func (c *console) last(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(cleanConsole(string(c.tail))), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

var escapes = regexp.MustCompile(`\x1b(c|\[[0-9;?]*[a-zA-Z])|\r`)

func cleanConsole(text string) string { return escapes.ReplaceAllString(text, "") }
