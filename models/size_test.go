package models

import (
	"math"
	"testing"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"1": 1, "1B": 1, "100k": 100_000, "100K": 100_000, "100kB": 100_000, "100KB": 100_000, "64Mi": 64 << 20, "64MiB": 64 << 20,
		"2G": 2e9, "2GB": 2e9, "2Gi": 2 << 30, "1T": 1e12, "1Ti": 1 << 40, "8M": 8e6, "1.5Gi": 3 << 29, "0.5Ki": 512, "1.0001k": 1000,
		"9223372036854775807": math.MaxInt64,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, int64(got), err, int64(want))
		}
	}
}

func TestBadSizes(t *testing.T) {
	for text, want := range map[string]string{
		"":                       `size "": not a number with a suffix; write 64Mi`,
		"Mi":                     `size "Mi": not a number with a suffix; write 64Mi`,
		"0":                      `size "0": zero; write a size of at least one byte, as in 64Mi`,
		"0.0Gi":                  `size "0.0Gi": zero; write a size of at least one byte, as in 64Mi`,
		"0.5":                    `size "0.5": less than one byte, which rounds to zero; write a size such as 64Mi`,
		"0.0009k":                `size "0.0009k": less than one byte, which rounds to zero; write a size such as 64Mi`,
		"12Q":                    `size "12Q": unknown suffix "Q"; write one of Ki Mi Gi Ti k M G T, as in 64Mi`,
		"12mi":                   `size "12mi": unknown suffix "mi"; write one of Ki Mi Gi Ti k M G T, as in 64Mi`,
		"12BB":                   `size "12BB": unknown suffix "BB"; write one of Ki Mi Gi Ti k M G T, as in 64Mi`,
		"64m":                    `size "64m": the suffix m means thousandths; write 64M or 64Mi`,
		"-1":                     `size "-1": negative; write a size of at least one byte, as in 64Mi`,
		"-1Mi":                   `size "-1Mi": negative; write a size of at least one byte, as in 64Mi`,
		"+1Mi":                   `size "+1Mi": not a number with a suffix; write 64Mi`,
		"010":                    `size "010": a leading zero means octal in YAML; write 10`,
		"00":                     `size "00": a leading zero means octal in YAML; write 0`,
		"064Mi":                  `size "064Mi": a leading zero means octal in YAML; write 64Mi`,
		"0x40":                   `size "0x40": not a number with a suffix; write 64Mi`,
		"1e3":                    `size "1e3": not a number with a suffix; write 64Mi`,
		"1_000":                  `size "1_000": not a number with a suffix; write 64Mi`,
		"64 Mi":                  `size "64 Mi": not a number with a suffix; write 64Mi`,
		".5Gi":                   `size ".5Gi": not a number with a suffix; write 64Mi`,
		"1.":                     `size "1.": not a number with a suffix; write 64Mi`,
		"６４Mi":                   `size "６４Mi": not a number with a suffix; write 64Mi`,
		"9223372036854775808":    `size "9223372036854775808": too large; the largest is 9223372036854775807 bytes`,
		"99999999Ti":             `size "99999999Ti": too large; the largest is 9223372036854775807 bytes`,
		"9999999999999999999999": `size "9999999999999999999999": too large; the largest is 9223372036854775807 bytes`,
	} {
		if got, err := ParseSize(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %d and %v, want %s", text, int64(got), err, want)
		}
	}
}

func TestSizeText(t *testing.T) {
	for s, want := range map[Size]string{
		0: "0", 1: "1", 1000: "1k", 1024: "1Ki", 64 << 20: "64Mi", 2e9: "2G", 3 << 29: "1536Mi", 1_024_000: "1024k", 1001: "1001", 1 << 40: "1Ti",
	} {
		if got := s.String(); got != want {
			t.Errorf("%d: got %s, want %s", int64(s), got, want)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, text := range []string{"64Mi", "0.1Gi", "010", "-1", "1.5k", "9223372036854775807", "12Q"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(s.String()); err != nil || again != s || s < 1 {
			t.Errorf("%q is %d, whose text %q is %d, %v", text, int64(s), s, int64(again), err)
		}
	})
}

func TestParseCPU(t *testing.T) {
	for text, want := range map[string]CPU{"1": 1000, "0.5": 500, "500m": 500, "1500m": 1500, "1.25": 1250, "0.0100": 10, "10m": 10, "4096": 4_096_000} {
		got, err := ParseCPU(text)
		if err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, int64(got), err, int64(want))
		}
		if again, err := ParseCPU(got.String()); err != nil || again != got {
			t.Errorf("%q: its text %q is %d, %v", text, got, int64(again), err)
		}
	}
}

func TestBadCPUs(t *testing.T) {
	for text, want := range map[string]string{
		"":                     `cpu "": not a number with a suffix; write 1, 0.5 or 500m`,
		"0":                    `cpu "0": zero; a sandbox needs processor time, write cores as in 1 or 0.5`,
		"0.0":                  `cpu "0.0": zero; a sandbox needs processor time, write cores as in 1 or 0.5`,
		"0m":                   `cpu "0m": zero; a sandbox needs processor time, write cores as in 1 or 0.5`,
		"9m":                   `cpu "9m": too little; write at least 10m, a hundredth of a core`,
		"0.009":                `cpu "0.009": too little; write at least 10m, a hundredth of a core`,
		"0.0005":               `cpu "0.0005": finer than a thousandth of a core; write whole thousandths, as in 500m`,
		"1.5m":                 `cpu "1.5m": finer than a thousandth of a core; write whole thousandths, as in 500m`,
		"-1":                   `cpu "-1": negative; write cores, as in 1 or 0.5`,
		"01":                   `cpu "01": a leading zero means octal in YAML; write 1`,
		"1k":                   `cpu "1k": unknown suffix "k"; write cores as in 0.5, or thousandths as in 500m`,
		"4097":                 `cpu "4097": too large; the largest is 4096 cores`,
		"99999999999999999999": `cpu "99999999999999999999": too large; the largest is 4096 cores`,
		"NaN":                  `cpu "NaN": not a number with a suffix; write 1, 0.5 or 500m`,
		".inf":                 `cpu ".inf": not a number with a suffix; write 1, 0.5 or 500m`,
		"all":                  `cpu "all": not a number with a suffix; write 1, 0.5 or 500m`,
	} {
		if got, err := ParseCPU(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %d and %v, want %s", text, int64(got), err, want)
		}
	}
}

func TestResourcesValidate(t *testing.T) {
	if err := DefaultResources.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for _, c := range []struct {
		change func(*Resources)
		want   string
	}{
		{func(r *Resources) { *r = Resources{} }, `cpu "0": out of range; write from 0.01 to 4096 cores`},
		{func(r *Resources) { r.Memory = 0 }, `memory "0": too little; the least is 1Mi, write a size such as 64Mi`},
		{func(r *Resources) { r.Memory = 64 }, `memory "64": that is 64 bytes, and the least is 1Mi; write a suffix, as in 64Mi`},
		{func(r *Resources) { r.Tmp = -1 }, `tmp "-1": too little; the least is 4Ki, write a size such as 16Mi`},
		{func(r *Resources) { r.PIDs = 0 }, `pids 0: out of range; write a number from 1 to 4194304, as in 16`},
		{func(r *Resources) { r.PIDs = 1 << 40 }, `pids 1099511627776: out of range; write a number from 1 to 4194304, as in 16`},
	} {
		r := DefaultResources
		c.change(&r)
		if err := r.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("%+v: got %v, want %s", r, err, c.want)
		}
	}
}
