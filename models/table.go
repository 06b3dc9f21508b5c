package models

import "strings"

// A kind is what a value of the manifest is. Its text finishes "write …".
type kind string

const (
	object kind = "a mapping"
	dict   kind = "a mapping" + " " // with keys that are data
	list   kind = "a list"
	text   kind = "a text"
	flag   kind = "true or false"
	count  kind = "a whole number"
	size   kind = "a size"
	cores  kind = "an amount of cores"
)

// A shape describes one value of the manifest. The parser and the JSON Schema are both made from it.
type shape struct {
	kind    kind
	doc     string
	example string // what to write, in a message
	fields  []field
	choices []choice           // of an object
	elem    *shape             // of a list or a dict
	first   *shape             // of a list, where its first element differs
	least   int                // elements of a list
	keys    func(string) error // of a dict
	noun    string             // names the value in messages about it
	check   func(string) error // of a text
	pattern string             // of a text, for the JSON Schema: what check allows, or more
	oneOf   []string           // of a text
	least64 Size               // of a size
	whole   func(values map[string]any, report func(key, format string, args ...any))
}

// A field is a key of an object.
type field struct {
	key      string
	shape    *shape
	required bool
	fallback any // the value where the key is absent
}

// A choice is a set of keys of which exactly one is set, or with several at least one.
type choice struct {
	keys    []string
	several bool
}

func (c choice) rule() string {
	if c.several {
		return "at least one"
	}
	return "exactly one"
}

func (s *shape) element(i int) *shape {
	if i == 0 && s.first != nil {
		return s.first
	}
	return s.elem
}

// sample is what a message shows as a right value.
func (s *shape) sample() string {
	switch {
	case s.example != "":
		return s.example
	case len(s.oneOf) > 0:
		return s.oneOf[0]
	case s.kind == flag:
		return "true"
	}
	return "[" + s.elem.sample() + "]"
}

var defaultResources = map[string]any{
	"cpu": int64(DefaultResources.CPU), "memory": int64(DefaultResources.Memory),
	"pids": DefaultResources.PIDs, "tmp": int64(DefaultResources.Tmp),
}

var manifestShape = &shape{
	kind: object, doc: "What a model is and what it may use.", example: "schema: " + Schema,
	whole: checkManifest,
	fields: []field{
		{key: "schema", required: true, shape: &shape{kind: text, noun: "schema", oneOf: []string{Schema}, doc: "The format of this file."}},
		{key: "name", required: true, shape: &shape{kind: text, example: "tiny-ocr", check: CheckName, pattern: namePattern.String(),
			doc: "The model's name: lower-case ASCII letters, digits and - . _, at most 63."}},
		{key: "version", required: true, shape: &shape{kind: text, example: "1.0.0", check: CheckVersion, pattern: versionPattern.String(),
			doc: "The model's version, as in semver."}},
		{key: "description", shape: note("A sentence on the model.")},
		{key: "task", shape: note("What the model does, as in text-classification.")},
		{key: "license", shape: note("The weights' licence, as an SPDX identifier.")},
		{key: "rootfs", required: true, shape: &shape{kind: list, least: 1, elem: layerShape, example: "[{dir: root}]",
			doc: "What the root file system is made of, lowest first."}},
		{key: "files", shape: &shape{kind: dict, elem: fileShape, keys: checkFilePath, example: "{/models/weights.bin: {source: weights.bin}}",
			whole: checkNesting, doc: "Read-only files, by their path in the root."}},
		{key: "run", required: true, shape: runShape},
		{key: "resources", fallback: defaultResources, shape: resourcesShape},
		{key: "network", fallback: "none", shape: &shape{kind: text, noun: "network", oneOf: []string{"none", "host"},
			doc: "none: loopback only. host: the host's own network."}},
		{key: "seccomp", fallback: "default", shape: &shape{kind: text, noun: "seccomp", oneOf: []string{"default", "unconfined"},
			doc: "The system calls that are let through: default, an allow-list, or unconfined, all."}},
		{key: "loosen", shape: loosenShape},
		{key: "golden", shape: &shape{kind: list, elem: goldenShape, example: `[{input: "7", output: "seven"}]`,
			doc: "Inputs with the outputs they must give: the model's own proof."}},
	},
}

var layerShape = &shape{
	kind: object, example: "{dir: root}", whole: checkLayer, doc: "One source of the root file system.",
	choices: []choice{{keys: []string{"debs", "closure", "tar", "dir", "oci", "image"}}},
	fields: []field{
		{key: "debs", shape: &shape{kind: list, least: 1, elem: &shape{kind: text, noun: "package", example: "fasttext", check: checkDeb, pattern: debPattern.String()},
			doc: "Debian packages, with what they depend on, without their scripts."}},
		{key: "closure", shape: &shape{kind: list, least: 1, elem: rootPath("program"), doc: "Programs of this host, with the libraries they name."}},
		{key: "keep", shape: &shape{kind: list, least: 1, elem: rootPath("keep"),
			doc: "With debs, tar or dir: prune to the ELF closure of these programs, and to these files and directories."}},
		{key: "tar", shape: &shape{kind: text, noun: "tar", example: "root.tar.gz", check: checkTarSource,
			doc: "A tar archive, plain, gzip or zstd: a path, from the manifest's directory, or an http or https address, with sha256."}},
		{key: "sha256", shape: sha256Shape},
		{key: "dir", shape: &shape{kind: text, noun: "dir", example: "root", check: checkDirSource, doc: "A directory, from the manifest's directory."}},
		{key: "oci", shape: &shape{kind: text, noun: "oci", example: "image.tar", check: checkNotEmpty("oci"), doc: "An OCI image layout."}},
		{key: "image", shape: &shape{kind: text, noun: "image", example: "example.org/model:1.0", check: checkNotEmpty("image"), doc: "An image in a registry."}},
	},
}

var fileShape = &shape{
	kind: object, example: "{source: weights.bin}", whole: checkFile, doc: "A file, kept by its digest.",
	fields: []field{
		{key: "source", required: true, shape: &shape{kind: text, noun: "source", example: "weights.bin", check: checkFileSource,
			doc: "A path inside the manifest's directory, or an http or https address, with sha256."}},
		{key: "sha256", shape: sha256Shape},
	},
}

var sha256Shape = &shape{kind: text, noun: "sha256", example: strings.Repeat("0f", 32), check: checkSHA256, pattern: sha256Pattern.String(),
	doc: "The SHA-256 of the content, in 64 hexadecimal digits."}

var argsShape = &shape{kind: list, least: 1, first: rootPath("args[0]"), elem: &shape{kind: text, noun: "argument", example: `"-"`},
	example: "[/usr/bin/fasttext, predict]", doc: "The program, by its path in the root, and its arguments."}

var envShape = &shape{kind: dict, keys: checkEnvName, elem: &shape{kind: text, noun: "env", example: `"1"`}, example: `{OMP_NUM_THREADS: "1"}`,
	doc: "Environment variables."}

var dirShape = &shape{kind: text, noun: "dir", example: "/models", check: checkWorkDir, pattern: "^/", doc: "The working directory in the root; / where absent."}

var runShape = &shape{
	kind: object, example: "{infer: {args: [/usr/bin/fasttext, predict]}}", doc: "The entrypoints.",
	choices: []choice{{keys: []string{"infer", "serve"}, several: true}},
	fields: []field{
		{key: "infer", shape: &shape{kind: object, example: "{args: [/usr/bin/fasttext, predict]}", doc: "Answers one request, stdin to stdout, and exits.",
			fields: []field{{key: "args", required: true, shape: argsShape}, {key: "env", shape: envShape}, {key: "dir", shape: dirShape}}}},
		{key: "serve", shape: &shape{kind: object, example: "{args: [/usr/bin/fasttext, predict], protocol: lines}", doc: "Stays up and answers many requests.",
			fields: []field{{key: "args", required: true, shape: argsShape}, {key: "env", shape: envShape}, {key: "dir", shape: dirShape},
				{key: "protocol", required: true, shape: &shape{kind: text, noun: "protocol", oneOf: []string{"lines", "http"},
					doc: "lines: a request line in, a response line out. http: on a unix socket or a TCP port inside the sandbox."}}}}},
	},
}

var resourcesShape = &shape{
	kind: object, example: "{cpu: 1, memory: 64Mi, pids: 16, tmp: 16Mi}", doc: "The sandbox's limits.",
	fields: []field{
		{key: "cpu", fallback: defaultResources["cpu"], shape: &shape{kind: cores, noun: "cpu", example: "0.5",
			doc: "Processor time: cores (1, 0.5) or thousandths of a core (500m)."}},
		{key: "memory", fallback: defaultResources["memory"], shape: &shape{kind: size, noun: "memory", example: "64Mi", least64: MinMemory, doc: "Memory, swap excluded."}},
		{key: "pids", fallback: defaultResources["pids"], shape: &shape{kind: count, noun: "pids", example: "16", doc: "Processes and threads."}},
		{key: "tmp", fallback: defaultResources["tmp"], shape: &shape{kind: size, noun: "tmp", example: "16Mi", least64: MinTmp, doc: "The size of /tmp."}},
	},
}

var loosenShape = &shape{
	kind: object, example: "{root_user: true}", doc: "Protections of the default sandbox to lift, one by one.",
	fields: []field{
		{key: "root_user", shape: &shape{kind: flag, doc: "Run as uid 0 of the sandbox's user namespace."}},
		{key: "host_users", shape: &shape{kind: flag, doc: "No user namespace: ids inside are the host's."}},
		{key: "new_privileges", shape: &shape{kind: flag, doc: "Set-user-ID programs gain privileges."}},
		{key: "capabilities", shape: &shape{kind: list, elem: &shape{kind: text, noun: "capability", example: "CAP_NET_BIND_SERVICE", check: checkCapability, pattern: "^CAP_[A-Z_]+$"},
			doc: "Capabilities to keep."}},
	},
}

var goldenShape = &shape{
	kind: object, example: `{input: "7", output: "seven"}`, doc: "An input with the output it must give.",
	choices: []choice{{keys: []string{"input", "input_file"}}, {keys: []string{"match", "output", "output_sha256"}}},
	fields: []field{
		{key: "name", shape: note("Names the case in reports.")},
		{key: "input", shape: note("The input.")},
		{key: "input_file", shape: &shape{kind: text, noun: "input_file", example: "golden/1.png", check: checkInside("input_file"), doc: "The input: a file inside the manifest's directory."}},
		{key: "match", shape: &shape{kind: text, noun: "match", example: "^seven", check: checkRegexp, doc: "A regular expression (RE2) found in the output."}},
		{key: "output", shape: note("The exact output, a final newline aside.")},
		{key: "output_sha256", shape: sha256Shape},
	},
}

// note is a text that nothing is asked of.
func note(doc string) *shape { return &shape{kind: text, noun: "text", doc: doc, example: `"text"`} }

// rootPath is the path of a file in the root.
func rootPath(noun string) *shape {
	return &shape{kind: text, noun: noun, example: "/usr/bin/fasttext", pattern: "^/", doc: "An absolute path in the root.",
		check: func(p string) error { return checkRootPath(noun, p) }}
}
