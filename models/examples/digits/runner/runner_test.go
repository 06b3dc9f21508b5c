package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

func load(t testing.TB) *network {
	t.Helper()
	weights, err := os.ReadFile("../digits.bin")
	if err != nil {
		t.Fatal(err)
	}
	n, err := parseNetwork(bytes.NewReader(weights))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readLines(t testing.TB, name string) []string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// The accuracy that accuracy.json and the README state is the one the runner has, to the image.
func TestAccuracyIsTheStatedOne(t *testing.T) {
	var stated struct{ Correct, Total int }
	content, err := os.ReadFile("../accuracy.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &stated); err != nil {
		t.Fatal(err)
	}
	images, labels := readLines(t, "../heldout.txt"), readLines(t, "../heldout.labels.txt")
	if len(images) != stated.Total || len(labels) != stated.Total {
		t.Fatalf("%d images, %d labels: want %d of each", len(images), len(labels), stated.Total)
	}
	n, correct := load(t), 0
	for i, line := range images {
		image, err := parseImage([]byte(line))
		if err != nil {
			t.Fatalf("heldout.txt line %d: %v", i+1, err)
		}
		if digit, _ := n.classify(&image); fmt.Sprint(digit) == labels[i] {
			correct++
		}
	}
	if correct != stated.Correct || correct*100 < 95*stated.Total {
		t.Errorf("%d of %d right: accuracy.json says %d, and at least 95 %% is wanted", correct, stated.Total, stated.Correct)
	}
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d of %d", correct, stated.Total); !bytes.Contains(readme, []byte(want)) {
		t.Errorf("README.md does not state %q", want)
	}
}

func TestAnswer(t *testing.T) {
	good := readLines(t, "../heldout.txt")[0]
	long := strings.Repeat("1 ", maxLine)
	for _, test := range []struct {
		name, in, infer, inferErr, serve string
	}{
		{"nothing", "", "", "", ""},
		{"image", good + "\n", "2 ", "", "2 "},
		{"no final newline", good, "2 ", "", "2 "},
		{"tabs and carriage return", strings.ReplaceAll(good, " ", "\t") + "\r\n", "2 ", "", "2 "},
		{"empty line", "\n", "", "line 1: 0 numbers: want 64", "error: 0 numbers"},
		{"one short", good[:len(good)-3] + "\n", "", "line 1: 63 numbers", "error: 63 numbers"},
		{"one more", good + " 1\n", "", "line 1: 65 numbers", "error: 65 numbers"},
		{"too bright", "17" + good[1:] + "\n", "", `number 1 is "17"`, `error: number 1 is "17"`},
		{"overflow", strings.Repeat("9", 100) + "\n", "", "number 1 is", "error: number 1 is"},
		{"negative", "-1" + good[1:] + "\n", "", "number 1 is", "error: number 1 is"},
		{"text", "hello\n", "", `number 1 is "hello"`, "error: number 1"},
		{"too long", long + "\n", "", "line 1: longer than", "error: longer than"},
		{"too long at the end", long, "", "line 1: longer than", "error: longer than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := load(t)
			var out strings.Builder
			err := answer(n, strings.NewReader(test.in), &out, false)
			if fmt.Sprint(err) != "<nil>" && (test.inferErr == "" || !strings.Contains(err.Error(), test.inferErr)) {
				t.Errorf("infer: error %q: want %q", err, test.inferErr)
			}
			if err == nil && test.inferErr != "" {
				t.Errorf("infer: no error: want %q", test.inferErr)
			}
			if !strings.HasPrefix(out.String(), test.infer) || test.infer == "" && out.Len() > 0 {
				t.Errorf("infer: output %q: want %q…", out.String(), test.infer)
			}
			out.Reset()
			if err := answer(n, strings.NewReader(test.in), &out, true); err != nil {
				t.Errorf("serve: %v", err)
			}
			if !strings.HasPrefix(out.String(), test.serve) || test.serve == "" && out.Len() > 0 {
				t.Errorf("serve: output %q: want %q…", out.String(), test.serve)
			}
		})
	}
}

// A served line is answered before the next one is asked for, and a bad one does not end the service.
func TestServeFlushesEachAnswer(t *testing.T) {
	images := readLines(t, "../heldout.txt")
	in, askIn := io.Pipe()
	outRead, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- answer(load(t), in, out, true) }()
	buffer := make([]byte, 256)
	for _, line := range []string{images[0], "bad", images[0]} {
		if _, err := io.WriteString(askIn, line+"\n"); err != nil {
			t.Fatal(err)
		}
		count, err := outRead.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		want := "2 "
		if line == "bad" {
			want = "error: "
		}
		if !strings.HasPrefix(string(buffer[:count]), want) {
			t.Errorf("%.10q answered with %q: want %q…", line, buffer[:count], want)
		}
	}
	askIn.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestDamagedWeights(t *testing.T) {
	weights, err := os.ReadFile("../digits.bin")
	if err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(weights)
	huge[12], huge[15] = 0xff, 0xff
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "header: EOF"},
		"other file":     {bytes.Repeat([]byte("x"), 100), "magic"},
		"huge layer":     {huge, "hidden units"},
		"cut":            {weights[:len(weights)-1], "weights: unexpected EOF"},
		"trailing bytes": {append(bytes.Clone(weights), 0), "1 bytes too many"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseNetwork(bytes.NewReader(test.content))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v: want %q", err, test.want)
			}
		})
	}
}

func FuzzParseImage(f *testing.F) {
	f.Add([]byte(strings.Repeat("16 ", pixels)))
	f.Add([]byte("99999999999999999999 -1 x"))
	f.Fuzz(func(t *testing.T, line []byte) {
		image, err := parseImage(line)
		for _, value := range image {
			if value > white {
				t.Errorf("pixel %d (error %v)", value, err)
			}
		}
	})
}

func BenchmarkClassify(b *testing.B) {
	n := load(b)
	image, err := parseImage([]byte(readLines(b, "../heldout.txt")[0]))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n.classify(&image)
	}
}
