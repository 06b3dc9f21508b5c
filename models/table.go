package models

import (
	"strconv"
	"strings"

	"mmbox/models/strict"
)

var manifestShape = &strict.Shape{
	Kind: strict.Object, Doc: "What a model is and what it may use.", Example: "schema: " + Schema,
	Check: checkManifest,
	Fields: []strict.Field{
		{Key: "schema", Required: true, Shape: &strict.Shape{Kind: strict.Text, Noun: "schema", OneOf: []string{Schema}, Doc: "The format of this file."}},
		{Key: "name", Required: true, Shape: &strict.Shape{Kind: strict.Text, Example: "tiny-ocr", Valid: CheckName, Pattern: namePattern.String(),
			Doc: "The model's name: lower-case ASCII letters, digits and - . _, at most 63."}},
		{Key: "version", Required: true, Shape: &strict.Shape{Kind: strict.Text, Example: "1.0.0", Valid: CheckVersion, Pattern: versionPattern.String(),
			Doc: "The model's version, as in semver."}},
		{Key: "description", Shape: note("A sentence on the model.")},
		{Key: "task", Shape: note("What the model does, as in text-classification.")},
		{Key: "license", Shape: note("The weights' licence, as an SPDX identifier.")},
		{Key: "rootfs", Required: true, Shape: &strict.Shape{Kind: strict.List, Least: 1, Elem: layerShape, Example: "[{dir: root}]",
			Doc: "What the root file system is made of, lowest first."}},
		{Key: "files", Shape: &strict.Shape{Kind: strict.Dict, Elem: fileShape, Keys: checkFilePath, Example: "{/models/weights.bin: {source: weights.bin}}",
			Check: checkNesting, Doc: "Read-only files, by their path in the root."}},
		{Key: "run", Required: true, Shape: runShape},
		{Key: "resources", Default: "{}", Shape: resourcesShape},
		{Key: "network", Default: "none", Shape: &strict.Shape{Kind: strict.Text, Noun: "network", OneOf: []string{"none", "host"},
			Doc: "none: loopback only. host: the host's own network."}},
		{Key: "seccomp", Default: "default", Shape: &strict.Shape{Kind: strict.Text, Noun: "seccomp", OneOf: []string{"default", "unconfined"},
			Doc: "The system calls that are let through: default, an allow-list, or unconfined, all."}},
		{Key: "loosen", Shape: loosenShape},
		{Key: "golden", Shape: &strict.Shape{Kind: strict.List, Elem: goldenShape, Example: `[{input: "7", output: "seven"}]`,
			Doc: "Inputs with the outputs they must give: the model's own proof."}},
	},
}

var layerShape = &strict.Shape{
	Kind: strict.Object, Example: "{dir: root}", Check: checkLayer, Doc: "One source of the root file system.",
	Choices: []strict.Choice{{Keys: []string{"debs", "closure", "tar", "dir", "oci", "image"}}},
	Fields: []strict.Field{
		{Key: "debs", Shape: &strict.Shape{Kind: strict.List, Least: 1, Elem: &strict.Shape{Kind: strict.Text, Noun: "package", Example: "fasttext", Valid: checkDeb, Pattern: debPattern.String()},
			Doc: "Debian packages, with what they depend on, without their scripts."}},
		{Key: "closure", Shape: &strict.Shape{Kind: strict.List, Least: 1, Elem: rootPath("program"), Doc: "Programs of this host that all its users may read, with the libraries they name."}},
		{Key: "keep", Shape: &strict.Shape{Kind: strict.List, Least: 1, Elem: rootPath("keep"),
			Doc: "With debs, tar or dir: prune to the ELF closure of these programs, and to these files and directories."}},
		{Key: "tar", Shape: &strict.Shape{Kind: strict.Text, Noun: "tar", Example: "root.tar.gz", Valid: checkSource("tar"),
			Doc: "A tar archive, plain, gzip or zstd: a path inside the manifest's directory, or an http or https address, with sha256."}},
		{Key: "sha256", Shape: sha256Shape},
		{Key: "dir", Shape: &strict.Shape{Kind: strict.Text, Noun: "dir", Example: "root", Valid: checkDirSource, Doc: "A directory inside the manifest's directory, or that itself."}},
		{Key: "oci", Shape: &strict.Shape{Kind: strict.Text, Noun: "oci", Example: "image.tar", Valid: checkNotEmpty("oci"), Doc: "An OCI image layout."}},
		{Key: "image", Shape: &strict.Shape{Kind: strict.Text, Noun: "image", Example: "example.org/model:1.0", Valid: checkNotEmpty("image"), Doc: "An image in a registry."}},
	},
}

var fileShape = &strict.Shape{
	Kind: strict.Object, Example: "{source: weights.bin}", Check: checkFile, Doc: "A file, kept by its digest.",
	Fields: []strict.Field{
		{Key: "source", Required: true, Shape: &strict.Shape{Kind: strict.Text, Noun: "source", Example: "weights.bin", Valid: checkSource("source"),
			Doc: "A path inside the manifest's directory, or an http or https address, with sha256."}},
		{Key: "sha256", Shape: sha256Shape},
	},
}

var sha256Shape = &strict.Shape{Kind: strict.Text, Noun: "sha256", Example: strings.Repeat("0f", 32), Valid: checkSHA256, Pattern: sha256Pattern.String(),
	Doc: "The SHA-256 of the content, in 64 hexadecimal digits."}

var argsShape = &strict.Shape{Kind: strict.List, Least: 1, First: rootPath("args[0]"), Elem: &strict.Shape{Kind: strict.Text, Noun: "argument", Example: `"-"`},
	Example: "[/usr/bin/fasttext, predict]", Doc: "The program, by its path in the root, and its arguments."}

var envShape = &strict.Shape{Kind: strict.Dict, Keys: checkEnvName, Elem: &strict.Shape{Kind: strict.Text, Noun: "env", Example: `"1"`}, Example: `{OMP_NUM_THREADS: "1"}`,
	Doc: "Environment variables."}

var dirShape = &strict.Shape{Kind: strict.Text, Noun: "dir", Example: "/models", Valid: checkWorkDir, Pattern: "^/", Doc: "The working directory in the root; / where absent."}

var runShape = &strict.Shape{
	Kind: strict.Object, Example: "{infer: {args: [/usr/bin/fasttext, predict]}}", Doc: "The entrypoints.",
	Choices: []strict.Choice{{Keys: []string{"infer", "serve"}, Several: true}},
	Fields: []strict.Field{
		{Key: "infer", Shape: &strict.Shape{Kind: strict.Object, Example: "{args: [/usr/bin/fasttext, predict]}", Doc: "Answers one request, stdin to stdout, and exits.",
			Fields: []strict.Field{{Key: "args", Required: true, Shape: argsShape}, {Key: "env", Shape: envShape}, {Key: "dir", Shape: dirShape}}}},
		{Key: "serve", Shape: &strict.Shape{Kind: strict.Object, Example: "{args: [/usr/bin/fasttext, predict], protocol: lines}", Doc: "Stays up and answers many requests.",
			Fields: []strict.Field{{Key: "args", Required: true, Shape: argsShape}, {Key: "env", Shape: envShape}, {Key: "dir", Shape: dirShape},
				{Key: "protocol", Required: true, Shape: &strict.Shape{Kind: strict.Text, Noun: "protocol", OneOf: []string{"lines", "http"},
					Doc: "lines: a request line in, a response line out. http: on a unix socket or a TCP port inside the sandbox."}}}}},
	},
}

var resourcesShape = &strict.Shape{
	Kind: strict.Object, Example: "{cpu: 1, memory: 64Mi, pids: 16, tmp: 16Mi}", Doc: "The sandbox's limits.",
	Fields: []strict.Field{
		{Key: "cpu", Default: DefaultResources.CPU.String(), Shape: &strict.Shape{Kind: strict.Quantity, Example: "0.5", Pattern: cpuPattern, Parse: parseCPULimit,
			Doc: "Processor time: cores (1, 0.5) or thousandths of a core (500m)."}},
		{Key: "memory", Default: DefaultResources.Memory.String(), Shape: &strict.Shape{Kind: strict.Quantity, Example: "64Mi", Pattern: sizePattern, Parse: parseLimit("memory", MinMemory, "64Mi"), Doc: "Memory, swap excluded."}},
		{Key: "pids", Default: strconv.FormatInt(DefaultResources.PIDs, 10), Shape: &strict.Shape{Kind: strict.Count, Example: "16", Minimum: 1, Parse: parsePIDs, Doc: "Processes and threads."}},
		{Key: "tmp", Default: DefaultResources.Tmp.String(), Shape: &strict.Shape{Kind: strict.Quantity, Example: "16Mi", Pattern: sizePattern, Parse: parseLimit("tmp", MinTmp, "16Mi"), Doc: "The size of /tmp."}},
	},
}

var loosenShape = &strict.Shape{
	Kind: strict.Object, Example: "{root_user: true}", Doc: "Protections of the default sandbox to lift, one by one.",
	Fields: []strict.Field{
		{Key: "root_user", Shape: &strict.Shape{Kind: strict.Flag, Doc: "Run as uid 0 of the sandbox's user namespace."}},
		{Key: "host_users", Shape: &strict.Shape{Kind: strict.Flag, Doc: "No user namespace: ids inside are the host's."}},
		{Key: "new_privileges", Shape: &strict.Shape{Kind: strict.Flag, Doc: "Set-user-ID programs gain privileges."}},
		{Key: "capabilities", Shape: &strict.Shape{Kind: strict.List, Elem: &strict.Shape{Kind: strict.Text, Noun: "capability", Example: "CAP_NET_BIND_SERVICE", Valid: checkCapability, Pattern: "^CAP_[A-Z_]+$"},
			Doc: "Capabilities to keep."}},
	},
}

var goldenShape = &strict.Shape{
	Kind: strict.Object, Example: `{input: "7", output: "seven"}`, Doc: "An input with the output it must give.",
	Choices: []strict.Choice{{Keys: []string{"input", "input_file"}}, {Keys: []string{"match", "output", "output_sha256"}}},
	Fields: []strict.Field{
		{Key: "name", Shape: note("Names the case in reports.")},
		{Key: "input", Shape: note("The input.")},
		{Key: "input_file", Shape: &strict.Shape{Kind: strict.Text, Noun: "input_file", Example: "golden/1.png", Valid: checkInside("input_file"), Doc: "The input: a file inside the manifest's directory."}},
		{Key: "match", Shape: &strict.Shape{Kind: strict.Text, Noun: "match", Example: "^seven", Valid: checkRegexp, Doc: "A regular expression (RE2) found in the output."}},
		{Key: "output", Shape: note("The exact output, a final newline aside.")},
		{Key: "output_sha256", Shape: sha256Shape},
	},
}

// note is a text that nothing is asked of.
func note(doc string) *strict.Shape {
	return &strict.Shape{Kind: strict.Text, Noun: "text", Doc: doc, Example: `"text"`}
}

// rootPath is the path of a file in the root.
func rootPath(noun string) *strict.Shape {
	return &strict.Shape{Kind: strict.Text, Noun: noun, Example: "/usr/bin/fasttext", Pattern: "^/", Doc: "An absolute path in the root.",
		Valid: func(p string) error { return checkRootPath(noun, p) }}
}
