package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mmbox/models"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tree(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the code blocks of one language.
func blocks(text, language string) []string {
	var list []string
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(text, -1) {
		list = append(list, found[1])
	}
	return list
}

// commands returns what the README has a reader type: all of a sh block, the lines behind a prompt of a console block.
func commands(text string) [][]string {
	var lines []string
	for _, b := range blocks(text, "sh") {
		for _, line := range strings.Split(b, "\n") {
			line, _, _ = strings.Cut(line, "  #")
			lines = append(lines, line)
		}
	}
	for _, b := range blocks(text, "console") {
		for _, line := range strings.Split(b, "\n") {
			if typed, is := strings.CutPrefix(line, "# "); is {
				lines = append(lines, typed)
			}
		}
	}
	var list [][]string
	for _, line := range lines {
		for _, part := range regexp.MustCompile(`[|<>;]`).Split(line, -1) {
			if words := strings.Fields(part); len(words) > 0 {
				list = append(list, words)
			}
		}
	}
	return list
}

// binary builds the command.
func binary(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mmbox")
	build := exec.Command("go", "build", "-tags", tags, "-o", file, "./cmd/mmbox")
	build.Dir = tree(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return file
}

// TestReadmeCommands: every verb and flag that the README uses exists, and no verb is left unmentioned.
func TestReadmeCommands(t *testing.T) {
	text, file := readme(t), binary(t)
	help := func(args ...string) string {
		out, err := exec.Command(file, append(args, "--help")...).CombinedOutput()
		if err != nil {
			t.Errorf("mmbox %s --help: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	all := help()
	seen := 0
	for _, words := range commands(text) {
		if words[0] != "mmbox" || len(words) < 2 {
			continue
		}
		seen++
		verb := words[1]
		if !strings.Contains(all, "\n  "+verb+" ") {
			t.Errorf("%s: mmbox has no verb %s", strings.Join(words, " "), verb)
			continue
		}
		of := help(verb) + all
		for _, word := range words[2:] {
			name, _, _ := strings.Cut(word, "=")
			if strings.HasPrefix(name, "-") && !regexp.MustCompile(regexp.QuoteMeta(name)+`[ ,]`).MatchString(of) {
				t.Errorf("%s: %s has no flag %s", strings.Join(words, " "), verb, name)
			}
		}
	}
	if seen < 15 {
		t.Errorf("found only %d commands", seen)
	}
	for _, line := range strings.Split(all, "\n") {
		if f := strings.Fields(line); strings.HasPrefix(line, "  ") && len(f) > 1 && f[0][0] != '-' && !strings.Contains(text, "`"+f[0]+"`") {
			t.Errorf("the README does not mention the verb %s", f[0])
		}
	}
	for _, flag := range regexp.MustCompile("`(--[a-z-]+)").FindAllStringSubmatch(text, -1) {
		if of := all + help("run") + help("verify"); !strings.Contains(of, flag[1]+" ") {
			t.Errorf("the README names the flag %s, which run, verify and mmbox do not have", flag[1])
		}
	}
}

// TestReadmeFiles: what the README links to or runs is there, and so are make's targets.
func TestReadmeFiles(t *testing.T) {
	text, top := readme(t), tree(t)
	makefile, err := os.ReadFile(filepath.Join(top, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(top, link[1])); err != nil {
			t.Errorf("the README links to what is not there: %v", err)
		}
	}
	for _, words := range commands(text) {
		switch {
		case words[0] == "make":
			if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(words[1]) + `:.*##`).Match(makefile) {
				t.Errorf("make has no target %s, or it says nothing about it", words[1])
			}
		case strings.Contains(words[0], "/"):
			if _, err := os.Stat(filepath.Join(top, words[0])); err != nil {
				t.Errorf("the README runs what is not there: %v", err)
			}
		}
		for _, word := range words[1:] {
			if strings.HasPrefix(word, "models/") {
				if _, err := os.Stat(filepath.Join(top, word)); err != nil {
					t.Errorf("%s: %v", strings.Join(words, " "), err)
				}
			}
		}
	}
}

// TestReadmeManifest: the manifest in the README is a valid one, and says what the model in the repository says.
func TestReadmeManifest(t *testing.T) {
	found := blocks(readme(t), "yaml")
	if len(found) != 1 {
		t.Fatalf("found %d manifests, want 1", len(found))
	}
	got, err := models.Parse(strings.NewReader(found[0]))
	if err != nil {
		t.Fatal(err)
	}
	want, err := models.Load(filepath.Join(tree(t), "models/examples/langid/model.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Golden) != 1 || got.Golden[0] != want.Golden[0] {
		t.Errorf("the golden case is %+v, want the first of %+v", got.Golden, want.Golden)
	}
	if g, w := got.Run.Infer, want.Run.Infer; got.Name != want.Name || got.Version != want.Version || !slices.Equal(g.Args, w.Args) ||
		got.Resources != want.Resources || got.Files["/models/lid.176.ftz"] != want.Files["/models/lid.176.ftz"] {
		t.Errorf("the README's manifest is not the model's:\n%+v\n%+v", got, want)
	}
}
