package models

import (
	"mmbox/models/internal/spell"

	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Bounds of a sandbox's limits. Less memory cannot hold a process, less processor time is below the kernel's resolution,
// and a smaller /tmp rounds to no page at all.
const (
	MinCPU    CPU  = 10
	MaxCPU    CPU  = 4096 * 1000
	MinMemory Size = 1 << 20
	MinTmp    Size = 4 << 10
	MaxPIDs        = 1 << 22 // the kernel's own limit, PID_MAX_LIMIT
)

// DefaultResources are the limits of a manifest that names none.
var DefaultResources = Resources{CPU: 1000, Memory: 64 << 20, PIDs: 16, Tmp: 16 << 20}

// A unit is a suffix of a size and the bytes it stands for.
type unit struct {
	suffix string
	bytes  int64
}

// units are the canonical suffixes, largest first.
var units = []unit{
	{"Ti", 1 << 40}, {"T", 1e12}, {"Gi", 1 << 30}, {"G", 1e9}, {"Mi", 1 << 20}, {"M", 1e6}, {"Ki", 1 << 10}, {"k", 1e3},
}

// Quantities in YAML and on the command line are decimal: no exponent, no sign, no leading zero (which YAML 1.1 reads as
// octal), no underscore.
var quantity = newPattern(`^(-?)([0-9]+)(\.[0-9]+)?([A-Za-z]*)$`)

// ParseSize reads an amount of bytes: a decimal number, which may have a fraction, and a suffix: Ki Mi Gi Ti (powers of
// 1024), k M G T (powers of 1000), each with or without a final B, or none. It refuses what is not at least one byte;
// a fraction of a byte beyond the first is dropped.
func ParseSize(text string) (Size, error) {
	sign, whole, fraction, suffix, err := splitQuantity("size", text, "64Mi")
	if err != nil {
		return 0, err
	}
	bytes, ok := suffixBytes(suffix)
	switch {
	case !ok && suffix == "m":
		return 0, fmt.Errorf("size %q: the suffix m means thousandths; write %sM or %sMi", text, whole, whole)
	case !ok:
		return 0, fmt.Errorf("size %q: unknown suffix %q; write one of Ki Mi Gi Ti k M G T, as in 64Mi", text, suffix)
	case sign != "":
		return 0, fmt.Errorf("size %q: negative; write a size of at least one byte, as in 64Mi", text)
	}
	n := scale(whole+fraction, bytes)
	switch {
	case n.Sign() == 0 && strings.Trim(whole+fraction, "0.") == "":
		return 0, fmt.Errorf("size %q: zero; write a size of at least one byte, as in 64Mi", text)
	case n.Sign() == 0:
		return 0, fmt.Errorf("size %q: less than one byte, which rounds to zero; write a size such as 64Mi", text)
	case !n.IsInt64():
		return 0, fmt.Errorf("size %q: too large; the largest is %d bytes", text, int64(1<<63-1))
	}
	return Size(n.Int64()), nil
}

// ParseCPU reads an amount of processor time per time: cores, which may have a fraction (1, 0.5), or thousandths of a core
// (500m). It refuses less than 10m, more than 4096 cores and what is finer than a thousandth.
func ParseCPU(text string) (CPU, error) {
	sign, whole, fraction, suffix, err := splitQuantity("cpu", text, "1, 0.5 or 500m")
	if err != nil {
		return 0, err
	}
	digits := len(fraction) - 1 // behind the point
	switch {
	case suffix != "" && suffix != "m":
		return 0, fmt.Errorf("cpu %q: unknown suffix %q; write cores as in 0.5, or thousandths as in 500m", text, suffix)
	case suffix == "m" && fraction != "", digits > 3 && strings.Trim(fraction[4:], "0") != "":
		return 0, fmt.Errorf("cpu %q: finer than a thousandth of a core; write whole thousandths, as in 500m", text)
	case sign != "":
		return 0, fmt.Errorf("cpu %q: negative; write cores, as in 1 or 0.5", text)
	}
	perUnit := int64(1000)
	if suffix == "m" {
		perUnit = 1
	}
	n := scale(whole+fraction, perUnit)
	if !n.IsInt64() || CPU(n.Int64()) > MaxCPU {
		return 0, fmt.Errorf("cpu %q: too large; the largest is %s cores", text, MaxCPU)
	}
	if n.Sign() == 0 {
		return 0, fmt.Errorf("cpu %q: zero; a sandbox needs processor time, write cores as in 1 or 0.5", text)
	}
	if CPU(n.Int64()) < MinCPU {
		return 0, fmt.Errorf("cpu %q: too little; write at least 10m, a hundredth of a core", text)
	}
	return CPU(n.Int64()), nil
}

// splitQuantity takes a number with a suffix apart. fraction keeps its point.
func splitQuantity(noun, text, example string) (sign, whole, fraction, suffix string, err error) {
	parts := quantity.FindStringSubmatch(text)
	if parts == nil || len(text) > 40 {
		return "", "", "", "", fmt.Errorf("%s %q: not a number with a suffix; write %s", noun, spell.Shorten(text), example)
	}
	if whole = parts[2]; len(whole) > 1 && whole[0] == '0' {
		plain := strings.TrimLeft(whole, "0")
		if plain == "" {
			plain = "0"
		}
		return "", "", "", "", fmt.Errorf("%s %q: a leading zero means octal in YAML; write %s",
			noun, text, parts[1]+plain+parts[3]+parts[4])
	}
	return parts[1], whole, parts[3], parts[4], nil
}

func suffixBytes(suffix string) (int64, bool) {
	short := strings.TrimSuffix(suffix, "B")
	if short == "" {
		return 1, true
	}
	if short == "K" {
		short = "k"
	}
	for _, u := range units {
		if u.suffix == short {
			return u.bytes, true
		}
	}
	return 0, false
}

// scale gives number times factor, rounded down. The number is one that quantity matched.
func scale(number string, factor int64) *big.Int {
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		panic("models: number out of quantity: " + number)
	}
	r.Mul(r, new(big.Rat).SetInt64(factor))
	return new(big.Int).Quo(r.Num(), r.Denom())
}

// String gives the shortest text that ParseSize reads as the same size: 64Mi, 2G, 1000.
func (s Size) String() string {
	best := strconv.FormatInt(int64(s), 10)
	for _, u := range units {
		if s != 0 && int64(s)%u.bytes == 0 {
			if text := strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix; len(text) <= len(best) {
				best = text
			}
		}
	}
	return best
}

// String gives cores, as ParseCPU reads them: 1, 0.5.
func (c CPU) String() string {
	return strconv.FormatFloat(float64(c)/1000, 'f', -1, 64)
}

// Validate refuses limits that no sandbox can live with. Flags that change a limit are held to it as manifests are.
func (r Resources) Validate() error {
	if r.CPU < MinCPU || r.CPU > MaxCPU {
		return fmt.Errorf("cpu %q: out of range; write from %s to %s cores", r.CPU, MinCPU, MaxCPU)
	}
	if err := checkAtLeast("memory", r.Memory, MinMemory, "64Mi"); err != nil {
		return err
	}
	if err := checkAtLeast("tmp", r.Tmp, MinTmp, "16Mi"); err != nil {
		return err
	}
	return checkPIDs(r.PIDs)
}

// checkAtLeast says of a small number without a suffix what was probably meant.
func checkAtLeast(noun string, s, least Size, example string) error {
	switch {
	case s >= least:
		return nil
	case s > 0 && s < 1<<20 && s%1000 != 0 && s%1024 != 0:
		return fmt.Errorf("%s %q: that is %d bytes, and the least is %s; write a suffix, as in %s", noun, s, int64(s), least, example)
	}
	return fmt.Errorf("%s %q: too little; the least is %s, write a size such as %s", noun, s, least, example)
}

func checkPIDs(n int64) error {
	if n < 1 || n > MaxPIDs {
		return fmt.Errorf("pids %d: out of range; write a number from 1 to %d, as in 16", n, MaxPIDs)
	}
	return nil
}

// What strings pass as a size and as a cpu, for the JSON Schema.
const (
	sizePattern = `^[0-9]+(\.[0-9]+)?([kKMGT]|[KMGT]i)?B?$`
	cpuPattern  = `^[0-9]+(\.[0-9]+)?m?$`
)

// parseLimit reads a size of a manifest that has a least value.
func parseLimit(noun string, least Size, example string) func(string) (any, error) {
	return func(text string) (any, error) {
		s, err := ParseSize(text)
		if err != nil {
			return nil, err
		}
		return s, checkAtLeast(noun, s, least, example)
	}
}

func parseCPULimit(text string) (any, error) { return ParseCPU(text) }

// parsePIDs reads a limit on processes: a plain whole number.
func parsePIDs(text string) (any, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case len(text) > 1 && text[0] == '0':
		return nil, fmt.Errorf("pids %q: a leading zero means octal in YAML; write a plain number, as in 16", text)
	case err != nil:
		return nil, fmt.Errorf("pids %q: not a whole number; write a number from 1 to %d, as in 16", text, MaxPIDs)
	}
	return n, checkPIDs(n)
}
