package models

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"mmbox/models/strict"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; see what go test -update makes of it. Got:\n%s", path, got)
	}
}

func TestParseGolden(t *testing.T) {
	for _, name := range []string{"design", "full"} {
		m, err := Load(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(text, '\n'))
	}
}

// minimal is the shortest manifest, with text added at its end.
func minimal(more string) string {
	return "schema: mmbox/v1\nname: tiny\nversion: 1.0.0\nrootfs: [{dir: root}]\nrun: {infer: {args: [/bin/tiny]}}\n" + more
}

func TestParseDefaults(t *testing.T) {
	want := Resources{CPU: 1000, Memory: 64 << 20, PIDs: 16, Tmp: 16 << 20}
	for _, more := range []string{"", "resources: {}\n", "resources: {cpu: 1, pids: 16}\n"} {
		m, err := Parse(strings.NewReader(minimal(more)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Resources != want || m.Network != "none" || m.Seccomp != "default" || !reflect.DeepEqual(m.Loosen, Loosen{}) {
			t.Errorf("with %q: got %+v", more, m)
		}
	}
}

// TestBadManifests holds a manifest that is wrong in one place against the message that it must get.
func TestBadManifests(t *testing.T) {
	sha := strings.Repeat("0f", 32)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", `model.yaml: empty; write a mapping of keys to values`},
		{"comment", "# nothing\n", `model.yaml: empty; write a mapping of keys to values`},
		{"list", "- a\n", `1:1: the file is a list; write a mapping, as in schema: mmbox/v1`},
		{"text", "hello\n", `1:1: the file is the text "hello"; write a mapping, as in schema: mmbox/v1`},
		{"tab", "\tname: x\n", `1:1: not YAML: found character that cannot start any token`},
		{"unclosed", "rootfs: [\n", `2:1: not YAML: did not find expected node content`},
		{"not UTF-8", "name: \xff\n", `model.yaml: not YAML: invalid leading UTF-8 octet (value: 255)`},
		{"two documents", minimal("---\nname: b\n"), `6:1: a second document; write one to a file`},
		{"garbage behind", minimal("---\n[\n"), `8:1: not YAML: did not find expected node content`},

		{"unknown key", minimal("seccom: default\n"), `6:1: unknown key "seccom"; write seccomp`},
		{"unknown key, far", minimal("entrypoint: x\n"), `6:1: unknown key "entrypoint"; write one of schema name version description task license rootfs files run resources network seccomp loosen golden`},
		{"unknown key, deep", minimal("resources: {mem: 64Mi}\n"), `6:13: unknown key "mem" in resources; write one of cpu memory pids tmp`},
		{"unknown key, near", minimal("resources: {memroy: 64Mi}\n"), `6:13: unknown key "memroy" in resources; write memory`},
		{"unknown key, case", minimal("Network: none\n"), `6:1: unknown key "Network"; write network`},
		{"unknown key, empty", minimal("\"\": none\n"), `6:1: unknown key ""; write one of schema name version description task license rootfs files run resources network seccomp loosen golden`},
		{"misspelt and not missing", strings.Replace(minimal(""), "name:", "nmae:", 1), `2:1: unknown key "nmae"; write name`},
		{"misspelt and wrong", strings.Replace(minimal(""), "name: tiny", "nmae: Tiny", 1), "2:1: unknown key \"nmae\"; write name\nmodel.yaml:2:7: name \"Tiny\": has the capital letter 'T'; write tiny"},
		{"misspelt beside the right one", minimal("nmae: tiny\n"), `6:1: unknown key "nmae"; write name`},
		{"duplicate key", minimal("name: other\n"), `6:1: duplicate key "name", first on line 2; keep one of them`},
		{"duplicate key, deep", minimal("resources: {pids: 1, pids: 2}\n"), `6:22: duplicate key "pids", first on line 6; keep one of them`},
		{"duplicate file", minimal("files: {/a: {source: x}, /a: {source: y}}\n"), `6:26: duplicate key "/a", first on line 6; keep one of them`},
		{"key is a list", minimal("[a]: b\n"), `6:1: a key is a list; write a plain word`},
		{"alias", minimal("task: &x y\nlicense: *x\n"), "6:7: &x is an anchor; write the value out where it is needed\nmodel.yaml:7:10: *x is an alias; write the value out"},
		{"merge key", minimal("resources: {<<: {pids: 1}}\n"), `6:13: << is a merge key; write its keys out`},
		{"tag", minimal("task: !!str 5\n"), `6:7: !!str is a tag; write the value without it`},

		{"missing keys", "schema: mmbox/v1\nname: tiny\n", "1:1: missing key \"version\"; write version: 1.0.0\nmodel.yaml:1:1: missing key \"rootfs\"; write rootfs: [{dir: root}]\nmodel.yaml:1:1: missing key \"run\"; write run: {infer: {args: [/usr/bin/fasttext, predict]}}"},
		{"schema", strings.Replace(minimal(""), "mmbox/v1", "mmbox/v2", 1), `1:9: schema "mmbox/v2": unknown; write mmbox/v1`},
		{"version is a number", strings.Replace(minimal(""), "1.0.0", "1.0", 1), `3:10: version is the number 1.0; put it in quotes to make it a text: "1.0"`},
		{"version is a date", strings.Replace(minimal(""), "1.0.0", "2024-01-01", 1), `3:10: version is the date 2024-01-01; put it in quotes to make it a text: "2024-01-01"`},
		{"name is true", strings.Replace(minimal(""), "tiny", "true", 1), `2:7: name is the boolean true; put it in quotes to make it a text: "true"`},
		{"name is empty", strings.Replace(minimal(""), "tiny", "", 1), `2:6: name is empty; write a text, as in tiny-ocr`},
		{"name with a slash", strings.Replace(minimal(""), "tiny", "a/b", 1), `2:7: name "a/b": has a slash, and a name is not a path; write lower-case letters, digits and - . _, as in tiny-ocr`},

		{"no layer", strings.Replace(minimal(""), "{dir: root}", "", 1), `4:9: rootfs is an empty list; write at least one, as in [{dir: root}]`},
		{"layer is a text", strings.Replace(minimal(""), "{dir: root}", "root", 1), `4:10: rootfs[0] is the text "root"; write a mapping, as in {dir: root}`},
		{"layer of nothing", strings.Replace(minimal(""), "{dir: root}", "{}", 1), `4:10: rootfs[0]: missing exactly one of the keys debs closure tar dir oci image; write exactly one`},
		{"layer of two", strings.Replace(minimal(""), "{dir: root}", "{dir: root, tar: x}", 1), `4:10: rootfs[0]: the keys tar and dir exclude each other; keep one of them`},
		{"keep with closure", strings.Replace(minimal(""), "{dir: root}", "{closure: [/bin/a], keep: [/bin/a]}", 1), `4:30: keep without debs, tar or dir; write it beside one of them, or leave it out`},
		{"sha256 without tar", strings.Replace(minimal(""), "{dir: root}", "{dir: root, sha256: "+sha+"}", 1), `4:22: sha256 without tar; leave it out`},
		{"remote tar without sha256", strings.Replace(minimal(""), "{dir: root}", "{tar: 'https://example.org/a.tar'}", 1), `4:11: tar "https://example.org/a.tar": fetched from elsewhere without sha256; write sha256: and what sha256sum prints for it`},
		{"remote dir", strings.Replace(minimal(""), "{dir: root}", "{dir: 'https://example.org/a'}", 1), `4:16: dir "https://example.org/a": an address; write a local directory, or fetch an archive with tar`},
		{"dir of the host", strings.Replace(minimal(""), "{dir: root}", "{dir: /secret}", 1), `4:16: dir "/secret": outside the manifest's directory; copy the directory there and write its relative path`},
		{"dir beside", strings.Replace(minimal(""), "{dir: root}", "{dir: a/../../x}", 1), `4:16: dir "a/../../x": outside the manifest's directory; copy the directory there and write its relative path`},
		{"dir empty", strings.Replace(minimal(""), "{dir: root}", "{dir: ''}", 1), `4:16: dir "": empty; write a path inside the manifest's directory`},
		{"tar of the host", strings.Replace(minimal(""), "{dir: root}", "{tar: /x.tar}", 1), `4:16: tar "/x.tar": outside the manifest's directory; copy the file there and write its relative path`},
		{"tar beside", strings.Replace(minimal(""), "{dir: root}", "{tar: ../x.tar}", 1), `4:16: tar "../x.tar": outside the manifest's directory; copy the file there and write its relative path`},
		{"remote scheme", strings.Replace(minimal(""), "{dir: root}", "{tar: 'ftp://example.org/a'}", 1), `4:16: tar "ftp://example.org/a": unknown scheme "ftp"; write an address that starts with https://, or a path`},
		{"remote without host", strings.Replace(minimal(""), "{dir: root}", "{tar: 'https:///a'}", 1), `4:16: tar "https:///a": names no host; write an address such as https://example.org/weights.bin`},
		{"apt option", strings.Replace(minimal(""), "{dir: root}", "{debs: ['-oDebug::X=1']}", 1), `4:18: package "-oDebug::X=1": not a Debian package; write NAME, NAME:ARCHITECTURE or NAME=VERSION, as in fasttext`},
		{"relative closure", strings.Replace(minimal(""), "{dir: root}", "{closure: [bin/a]}", 1), `4:21: program "bin/a": not absolute; write /bin/a`},

		{"file leaves the root", minimal("files: {/../etc/passwd: {source: x}}\n"), `6:9: path "/../etc/passwd": has .., which may leave the root; write the path without it, as in /etc/passwd`},
		{"file not absolute", minimal("files: {models/a: {source: x}}\n"), `6:9: path "models/a": not absolute; write /models/a`},
		{"file not clean", minimal("files: {/models//a/: {source: x}}\n"), `6:9: path "/models//a/": not in its shortest form; write /models/a`},
		{"file is the root", minimal("files: {/: {source: x}}\n"), `6:9: path "/": the root itself; write the path of something in it, as in /usr/bin/fasttext`},
		{"file under /proc", minimal("files: {/proc/self: {source: x}}\n"), `6:9: path "/proc/self": /proc belongs to the sandbox, which mounts its own there; write a path elsewhere, as in /models/self`},
		{"file is /tmp", minimal("files: {/tmp: {source: x}}\n"), `6:9: path "/tmp": /tmp belongs to the sandbox, which mounts its own there; write a path elsewhere, as in /models`},
		{"file with a newline", minimal("files: {\"/a\\nb\": {source: x}}\n"), `6:9: path "/a\nb": has a control character; write a path of visible characters`},
		{"file in a file", minimal("files: {/a: {source: x}, /a/b/c: {source: y}}\n"), `6:26: path "/a/b/c": lies in "/a", which is a file; write another path`},
		{"file without source", minimal("files: {/a: {}}\n"), `6:13: files./a: missing key "source"; write source: weights.bin`},
		{"file of the host", minimal("files: {/a: {source: /etc/shadow}}\n"), `6:22: source "/etc/shadow": outside the manifest's directory; copy the file there and write its relative path`},
		{"file beside", minimal("files: {/a: {source: ../x}}\n"), `6:22: source "../x": outside the manifest's directory; copy the file there and write its relative path`},
		{"file is a directory", minimal("files: {/a: {source: ./}}\n"), `6:22: source "./": a directory; write the path of a file`},
		{"remote file without sha256", minimal("files: {/a: {source: 'http://example.org/a'}}\n"), `6:14: source "http://example.org/a": fetched from elsewhere without sha256; write sha256: and what sha256sum prints for it`},
		{"short sha256", minimal("files: {/a: {source: a, sha256: 0f0f}}\n"), `6:33: sha256 "0f0f": not 64 hexadecimal digits; write what sha256sum prints`},
		{"prefixed sha256", minimal("files: {/a: {source: a, sha256: 'sha256:" + strings.ToUpper(sha) + "'}}\n"), `6:33: sha256 "sha256:` + strings.ToUpper(sha) + `": not plain lower-case hexadecimal; write ` + sha},

		{"no entrypoint", strings.Replace(minimal(""), "infer: {args: [/bin/tiny]}", "", 1), `5:6: run: missing at least one of the keys infer serve; write at least one`},
		{"no args", strings.Replace(minimal(""), "[/bin/tiny]", "[]", 1), `5:21: run.infer.args is an empty list; write at least one, as in [/usr/bin/fasttext, predict]`},
		{"args is a text", strings.Replace(minimal(""), "[/bin/tiny]", "/bin/tiny", 1), `5:21: run.infer.args is the text "/bin/tiny"; write a list, as in [/usr/bin/fasttext, predict]`},
		{"args[0] relative", strings.Replace(minimal(""), "/bin/tiny", "tiny", 1), `5:22: args[0] "tiny": not absolute; write /tiny`},
		{"args[0] empty", strings.Replace(minimal(""), "/bin/tiny", `""`, 1), `5:22: args[0] "": empty; write an absolute path, as in /usr/bin/fasttext`},
		{"argument is a number", strings.Replace(minimal(""), "/bin/tiny", "/bin/tiny, 2", 1), `5:33: run.infer.args[1] is the number 2; put it in quotes to make it a text: "2"`},
		{"NUL in an argument", strings.Replace(minimal(""), "/bin/tiny", `/bin/tiny, "a\0b"`, 1), `5:33: argument "a\x00b": has a NUL character, which no path or argument can carry; write it without`},
		{"env name", strings.Replace(minimal(""), "args:", "env: {A-B: x}, args:", 1), `5:21: env "A-B": not a variable's name; write letters, digits and _, as in OMP_NUM_THREADS`},
		{"env value", strings.Replace(minimal(""), "args:", "env: {A: 1}, args:", 1), `5:24: run.infer.env.A is the number 1; put it in quotes to make it a text: "1"`},
		{"relative dir", strings.Replace(minimal(""), "args:", "dir: models, args:", 1), `5:20: dir "models": not absolute; write /models`},
		{"protocol of infer", strings.Replace(minimal(""), "args:", "protocol: lines, args:", 1), `5:15: unknown key "protocol" in run.infer; write one of args env dir`},
		{"no protocol", strings.Replace(minimal(""), "infer:", "serve:", 1), `5:14: run.serve: missing key "protocol"; write protocol: lines`},
		{"other protocol", strings.Replace(minimal(""), "infer: {", "serve: {protocol: grpc, ", 1), `5:25: protocol "grpc": unknown; write lines or http`},

		{"memory 0", minimal("resources: {memory: 0}\n"), `6:21: size "0": zero; write a size of at least one byte, as in 64Mi`},
		{"memory 12Q", minimal("resources: {memory: 12Q}\n"), `6:21: size "12Q": unknown suffix "Q"; write one of Ki Mi Gi Ti k M G T, as in 64Mi`},
		{"memory -1", minimal("resources: {memory: -1}\n"), `6:21: size "-1": negative; write a size of at least one byte, as in 64Mi`},
		{"memory 010", minimal("resources: {memory: 010}\n"), `6:21: size "010": a leading zero means octal in YAML; write 10`},
		{"memory 64", minimal("resources: {memory: 64}\n"), `6:21: memory "64": that is 64 bytes, and the least is 1Mi; write a suffix, as in 64Mi`},
		{"memory 64k", minimal("resources: {memory: 64k}\n"), `6:21: memory "64k": too little; the least is 1Mi, write a size such as 64Mi`},
		{"memory is a list", minimal("resources: {memory: [1]}\n"), `6:21: resources.memory is a list; write a number with a suffix, as in 64Mi`},
		{"memory is empty", minimal("resources: {memory: }\n"), `6:21: resources.memory is empty; write a number with a suffix, as in 64Mi`},
		{"memory is true", minimal("resources: {memory: true}\n"), `6:21: resources.memory is the boolean true; write a number with a suffix, as in 64Mi`},
		{"tmp 16", minimal("resources: {tmp: 16}\n"), `6:18: tmp "16": that is 16 bytes, and the least is 4Ki; write a suffix, as in 16Mi`},
		{"cpu 0", minimal("resources: {cpu: 0}\n"), `6:18: cpu "0": zero; a sandbox needs processor time, write cores as in 1 or 0.5`},
		{"cpu 1m", minimal("resources: {cpu: 1m}\n"), `6:18: cpu "1m": too little; write at least 10m, a hundredth of a core`},
		{"pids 0", minimal("resources: {pids: 0}\n"), `6:19: pids 0: out of range; write a number from 1 to 4194304, as in 16`},
		{"pids 1.5", minimal("resources: {pids: 1.5}\n"), `6:19: pids "1.5": not a whole number; write a number from 1 to 4194304, as in 16`},
		{"pids 010", minimal("resources: {pids: 010}\n"), `6:19: pids "010": a leading zero means octal in YAML; write a plain number, as in 16`},
		{"pids is a text", minimal("resources: {pids: many}\n"), `6:19: resources.pids is the text "many"; write a whole number, as in 16`},
		{"resources is empty", minimal("resources:\n"), `6:11: resources is empty; write a mapping, as in {cpu: 1, memory: 64Mi, pids: 16, tmp: 16Mi}`},

		{"network", minimal("network: bridge\n"), `6:10: network "bridge": unknown; write none or host`},
		{"seccomp", minimal("seccomp: off\n"), `6:10: seccomp "off": unknown; write default or unconfined`},
		{"loosen", minimal("loosen: {root: true}\n"), `6:10: unknown key "root" in loosen; write one of root_user host_users new_privileges capabilities`},
		{"loosen yes", minimal("loosen: {root_user: yes}\n"), `6:21: loosen.root_user is the text "yes"; write true or false`},
		{"capability", minimal("loosen: {capabilities: [net_bind_service]}\n"), `6:25: capability "net_bind_service": unknown; write CAP_NET_BIND_SERVICE`},
		{"capability, far", minimal("loosen: {capabilities: [ALL]}\n"), `6:25: capability "ALL": unknown; write one of capabilities(7), as in CAP_NET_BIND_SERVICE`},

		{"golden without input", minimal("golden: [{output: x}]\n"), `6:10: golden[0]: missing exactly one of the keys input input_file; write exactly one`},
		{"golden with two inputs", minimal("golden: [{input: a, input_file: b, output: x}]\n"), `6:10: golden[0]: the keys input and input_file exclude each other; keep one of them`},
		{"golden without expectation", minimal("golden: [{input: a}]\n"), `6:10: golden[0]: missing exactly one of the keys match output output_sha256; write exactly one`},
		{"golden with two expectations", minimal("golden: [{input: a, match: b, output: c}]\n"), `6:10: golden[0]: the keys match and output exclude each other; keep one of them`},
		{"golden regexp", minimal("golden: [{input: a, match: '('}]\n"), "6:28: match \"(\": not a regular expression: error parsing regexp: missing closing ): `(`; write RE2 syntax, in single quotes"},
		{"golden empty regexp", minimal("golden: [{input: a, match: ''}]\n"), `6:28: match "": empty, which any output matches; write a regular expression, as in ^seven`},
		{"golden file outside", minimal("golden: [{input_file: /etc/shadow, match: x}]\n"), `6:23: input_file "/etc/shadow": outside the manifest's directory; copy the file there and write its relative path`},
		{"golden names", minimal("golden: [{name: a, input: x, match: x}, {name: a, input: y, match: y}]\n"), `6:1: two golden cases are named "a"; write another name for one`},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if !strings.HasPrefix(want, ManifestName) {
				want = ManifestName + ":" + want
			}
			m, err := Parse(strings.NewReader(c.text))
			if err == nil {
				t.Fatalf("got %+v and no error, want %s", m, want)
			}
			if err.Error() != want {
				t.Errorf("got  %s\nwant %s", err, want)
			}
			var manifest *ManifestError
			if !errors.As(err, &manifest) || len(manifest.Problems) == 0 {
				t.Errorf("got a %T, want a *ManifestError with problems", err)
			}
		})
	}
}

func TestAllProblemsAreReportedInOrder(t *testing.T) {
	text := "golden: [{}]\nnmae: x\nversion: v1\nschema: other\n"
	_, err := Parse(strings.NewReader(text))
	var manifest *ManifestError
	if !errors.As(err, &manifest) {
		t.Fatalf("got %v", err)
	}
	if len(manifest.Problems) != 7 { // two missing keys, two choices in golden, the unknown key, version, schema
		t.Errorf("got %d problems:\n%v", len(manifest.Problems), err)
	}
	line := 0
	for _, p := range manifest.Problems {
		if p.Line < line {
			t.Errorf("line %d after line %d", p.Line, line)
		}
		line = p.Line
	}
}

func TestTooLarge(t *testing.T) {
	_, err := Parse(strings.NewReader(minimal("# " + strings.Repeat("x", maxManifest))))
	if want := "model.yaml: larger than 1 MiB; keep weights in files of their own and name them under files"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "other.yaml")
	if err := os.WriteFile(path, []byte(minimal("x: y\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":6:1: unknown key") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(path + ".gone"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
}

// TestTableMatchesTypes holds the table against the types: each key of one must be in the other.
func TestTableMatchesTypes(t *testing.T) {
	compareShape(t, "manifest", manifestShape, reflect.TypeFor[Manifest]())
}

func compareShape(t *testing.T, path string, s *strict.Shape, typ reflect.Type) {
	switch typ.Kind() {
	case reflect.Pointer:
		compareShape(t, path, s, typ.Elem())
	case reflect.Slice, reflect.Map:
		compareShape(t, path+"[]", s.Elem, typ.Elem())
	case reflect.Struct:
		keys := map[string]*strict.Shape{}
		for _, f := range s.Fields {
			keys[f.Key] = f.Shape
		}
		for i := range typ.NumField() {
			key, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			shape, ok := keys[key]
			delete(keys, key)
			switch {
			case ok:
				compareShape(t, path+"."+key, shape, typ.Field(i).Type)
			case path != "manifest.run.infer" || key != "protocol": // an Entrypoint's protocol is only serve's
				t.Errorf("%s has no key %q in the table", path, key)
			}
		}
		for key := range keys {
			t.Errorf("%s has no field for the table's key %q", path, key)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"design", "full"} {
		text, err := os.ReadFile(filepath.Join("testdata", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(minimal("resources: {memory: 0x10, cpu: 1e3, pids: 010, tmp: .5}\n"))
	f.Add(minimal("task: &a [*a]\n<<: *a\n---\n"))
	f.Add("? [a]\n: !!binary x\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(strings.NewReader(text))
		if err != nil {
			var manifest *ManifestError
			if !errors.As(err, &manifest) || len(manifest.Problems) == 0 || m != nil {
				t.Fatalf("got %v and a %T: %v", m, err, err)
			}
			return
		}
		if err := m.Resources.Validate(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(CheckName(m.Name), CheckVersion(m.Version)); err != nil {
			t.Error(err)
		}
		if m.Run.Infer == nil && m.Run.Serve == nil || len(m.RootFS) == 0 {
			t.Errorf("incomplete: %+v", m)
		}
		text1, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var again Manifest
		if err := json.Unmarshal(text1, &again); err != nil {
			t.Fatal(err)
		}
		text2, err := json.Marshal(again)
		if err != nil || string(text1) != string(text2) {
			t.Errorf("a record does not survive reading back: %s, %s, %v", text1, text2, err)
		}
	})
}
