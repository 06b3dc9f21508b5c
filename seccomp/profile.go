package seccomp

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

//go:embed profiles/default.json
var defaultProfile []byte

// A Profile says, for each system call, what happens when a sandbox makes it, and why. A call that no rule names gets
// the default action. The zero value is not a profile: Parse and Default return valid ones only.
type Profile struct {
	Comment string `json:"comment"`
	Default Action `json:"default"`
	Rules   []Rule `json:"rules"`
}

// A Rule gives the system calls it names an action. With Arg the action holds only for calls whose argument meets the
// condition and Otherwise is the action of the rest, so that the two never overlap and no order of rules matters.
// A call has one rule.
type Rule struct {
	Reason    string   `json:"reason"`
	Names     []string `json:"names"`
	Action    Action   `json:"action"`
	Arg       *Arg     `json:"arg,omitempty"`
	Otherwise Action   `json:"otherwise,omitempty"` // set exactly when Arg is
}

// An Arg is a condition on the low 32 bits of one argument. All arguments that profiles look at are 32 bits wide to
// the kernel: comparing all 64 bits of the register would let a program hide a refused value behind set upper bits
// (as in CVE-2019-10063). Exactly one of In, NotIn and NoBits is set.
type Arg struct {
	Index  uint   `json:"index"`             // 0 to 5
	In     []Word `json:"in,omitempty"`      // the argument is one of these
	NotIn  []Word `json:"not_in,omitempty"`  // the argument is none of these
	NoBits Word   `json:"no_bits,omitempty"` // the argument has none of these bits set
}

// A Word is the value of an argument. In JSON it is a string, decimal or with 0x.
type Word uint32

// An Action is what happens at a call: "allow", "log" (allowed, and noted in the kernel's log), "kill" (of the whole
// process), or the name of the error that the call returns without having been made, such as "EPERM".
type Action string

// The actions that are not errors.
const (
	Allow Action = "allow"
	Log   Action = "log"
	Kill  Action = "kill"
)

// Default returns the profile for inference programs and ordinary command-line programs without capabilities.
func Default() Profile {
	p, err := Parse(bytes.NewReader(defaultProfile))
	if err != nil {
		panic(fmt.Sprintf("embedded default profile: %v", err)) // a test parses it: only a broken build gets here
	}
	return p
}

// Parse reads a profile in JSON. It refuses unknown keys, unknown actions, a rule without a reason and a call with two
// rules.
func Parse(r io.Reader) (Profile, error) {
	var p Profile
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Profile{}, fmt.Errorf("parse seccomp profile: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Profile{}, fmt.Errorf("parse seccomp profile: data after the profile's closing brace")
	}
	if err := p.check(); err != nil {
		return Profile{}, fmt.Errorf("parse seccomp profile: %w", err)
	}
	return p, nil
}

func (p Profile) check() error {
	if err := p.Default.check(); err != nil {
		return fmt.Errorf("default: %w", err)
	}
	ruleOf := map[string]int{}
	for i, r := range p.Rules {
		if err := r.check(); err != nil {
			return fmt.Errorf("rule %d: %w", i+1, err)
		}
		for _, name := range r.Names {
			if first, taken := ruleOf[name]; taken {
				return fmt.Errorf("rule %d: call %q already has rule %d: a call has one rule", i+1, name, first)
			}
			ruleOf[name] = i + 1
		}
	}
	return nil
}

// isCallName tells whether a name could be a system call's. A pattern would be compiled by every process of ours.
func isCallName(name string) bool {
	for i, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != ""
}

func (r Rule) check() error {
	if strings.TrimSpace(r.Reason) == "" {
		return fmt.Errorf("no reason: write why, in a sentence")
	}
	if len(r.Names) == 0 {
		return fmt.Errorf("no names: list the system calls it is for")
	}
	for _, name := range r.Names {
		if !isCallName(name) {
			return fmt.Errorf("name %q: not a system call's name", name)
		}
	}
	if err := r.Action.check(); err != nil {
		return fmt.Errorf("action: %w", err)
	}
	if r.Arg == nil {
		if r.Otherwise != "" {
			return fmt.Errorf("otherwise without arg: leave it out, or add the condition")
		}
		return nil
	}
	if err := r.Otherwise.check(); err != nil {
		return fmt.Errorf("otherwise: %w", err)
	}
	return r.Arg.check()
}

func (a Arg) check() error {
	if a.Index > 5 {
		return fmt.Errorf("arg: index %d: a system call has arguments 0 to 5", a.Index)
	}
	set := 0
	for _, is := range []bool{len(a.In) > 0, len(a.NotIn) > 0, a.NoBits != 0} {
		if is {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("arg: %d of in, not_in and no_bits set: write exactly one", set)
	}
	return nil
}

func (a Action) check() error {
	switch a {
	case Allow, Log, Kill:
		return nil
	}
	if _, ok := a.errno(); !ok {
		return fmt.Errorf("%q: write allow, log, kill, or an error's name such as EPERM", a)
	}
	return nil
}

// errnos are Linux's error numbers by name.
var errnos = sync.OnceValue(func() map[string]uint {
	numbers := map[string]uint{}
	for n := uint(1); n < 200; n++ { // the largest is 133
		if name := unix.ErrnoName(syscall.Errno(n)); name != "" {
			numbers[name] = n
		}
	}
	return numbers
})

func (a Action) errno() (uint, bool) {
	n, ok := errnos()[string(a)]
	return n, ok
}

// UnmarshalText reads a number in decimal, hexadecimal (0x) or octal (0o) notation.
func (w *Word) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 0, 32)
	if err != nil {
		return fmt.Errorf("argument value %q: write a number of at most 32 bits", text)
	}
	*w = Word(n)
	return nil
}

// MarshalText writes the number in hexadecimal notation.
func (w Word) MarshalText() ([]byte, error) {
	return []byte(fmt.Sprintf("%#x", uint32(w))), nil
}
