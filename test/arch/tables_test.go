package arch

// An own rule is what a package of ours may import of ours. A name ending in /... covers what is below it.
type own struct {
	pkg   string
	uses  []string
	tests []string // what its tests may use besides
	why   string
}

// all marks a package that may use all of ours.
var all = []string{"..."}

// owns is the table of imports. A package that is not in it fails the test, and so does a row without a package.
var owns = []own{
	{"models", []string{"models/strict", "models/internal/..."}, nil, "a manifest and its store need nothing that runs"},
	{"models/strict", []string{"models/internal/spell"}, nil, "strict YAML, for manifests and for the settings"},
	{"models/internal/...", nil, nil, "one noun each: a file on disk, a version, a near word"},
	{"models/examples/...", nil, []string{"models"}, "real models: the tests read their manifests"},
	{"rootfs", []string{"models", "rootfs/closure", "rootfs/origin", "rootfs/tree"}, nil, "trees are built from what a manifest names"},
	{"rootfs/closure", nil, nil, "an ELF walk knows no models"},
	{"rootfs/origin", nil, nil, "a root's files come from where a manifest may point"},
	{"rootfs/tree", []string{"models"}, nil, "a tree knows digests and blobs, not where its files come from"},
	{"seccomp", nil, nil, "a filter is data"},
	{"cgroups", nil, nil, "limits are data; the host's groups are files"},
	{"isolation", []string{"models", "cgroups", "seccomp"}, nil, "a policy becomes a specification, without touching the kernel"},
	{"runtime", []string{"models", "rootfs", "isolation", "cgroups", "seccomp", "runtime/process", "runtime/shim"}, nil, "a specification comes to life"},
	{"runtime/shim", nil, nil, "the sandbox's first program: bytes, and how to pass it its filter"},
	{"runtime/process", nil, nil, "what /proc says of a process"},
	{"metrics", []string{"cgroups"}, nil, "samples come from the cgroup and /proc"},
	{"cmd/mmbox", all, nil, "the verbs put the packages together"},
	{"cmd/internal/...", all, nil, "what verbs share"},
	{"test/...", all, nil, "tests see everything"},
}

// A door is the one way to a third-party module.
type door struct {
	module string
	pkgs   []string
	tests  []string // packages whose tests may use it besides
	why    string
}

// doors is the table of third-party modules. One that is not in it fails the test, and so does a door nobody uses.
var doors = []door{
	{"golang.org/x/sys", all, nil, "the kernel's own interface: an extension of the standard library"},
	{"github.com/opencontainers/runtime-spec", all, nil, "data that travels between packages: the OCI specification"},
	{"github.com/google/renameio/v2", []string{"rootfs", "cmd/mmbox", "test/vm"}, nil, "a file appears whole or not at all; models' store does the same on its own handles"},
	{"go.yaml.in/yaml/v4", []string{"models/strict"}, []string{"models"}, "YAML is read strictly or not at all"},
	{"github.com/klauspost/compress", []string{"rootfs"}, nil, "zstd, and a gzip that keeps up with tar"},
	{"github.com/seccomp/libseccomp-golang", []string{"seccomp"}, nil, "compiling filters"},
	{"golang.org/x/net", nil, []string{"seccomp"}, "bpf: a machine that runs filters in tests"},
	{"github.com/containerd/cgroups/v3", nil, []string{"cgroups"}, "another reader of the same figures, as the judge in tests: in the product it gives 0 for an absent file"},
	{"github.com/moby/sys/capability", []string{"isolation"}, nil, "the names of capabilities"},
	{"github.com/opencontainers/runc", []string{"runtime"}, nil, "libcontainer. specconv too: the design gives it to isolation, but its result depends on the kernel and the working directory, and isolation is pure"},
	{"github.com/opencontainers/cgroups", []string{"runtime"}, nil, "libcontainer's device rules register themselves"},
	{"github.com/sirupsen/logrus", []string{"runtime"}, nil, "libcontainer logs through it: it is silenced there"},
	{"github.com/urfave/cli/v2", []string{"cmd/mmbox"}, nil, "the command line"},
	{"github.com/rogpeppe/go-internal", nil, []string{"cmd/mmbox"}, "testscript: command lines as the command's specification"},
	{"github.com/yalue/onnxruntime_go", []string{"models/examples/vad/runner"}, nil, "a model's own program"},
	{"golang.org/x/image", []string{"models/examples/ocr/page"}, nil, "draws the example's pages"},
}

// topLevel is what lies at the top. It is the owner's list.
var topLevel = []string{"go.mod", "go.sum", "cmd", "runtime", "isolation", "rootfs", "cgroups", "seccomp", "models", "metrics", "test",
	"Makefile", "README.md", "LICENSE", "CHANGELOG.md"}

const (
	fileLines     = 400
	functionLines = 60
	packageLines  = 1500 // of code: without blank lines and comments
)

// largePackages may be larger, up to a bound of their own.
var largePackages = map[string]struct {
	lines int
	why   string
}{
	"cmd/mmbox": {4500, "a verb is a file that knows no other: nobody imports it, and splitting it would only add names"},
}

// inits may have an init function.
var inits = map[string]string{
	"runtime/reexec.go": "libcontainer starts a sandbox by executing this program again, before main",
}

// badNames say nothing about what is inside.
var badNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "lib", "types"}

// unsaid are words that no file may hold, put together here so that this file does not hold them either.
var unsaid = []struct{ text, why string }{
	{"/wo" + "rk/", "a path of a machine that developed it"},
	{"/ro" + "ot/go", "a path of a machine that developed it"},
	{"registry." + "npmjs", "a registry's host: clients know where to go"},
	{"proxy." + "golang", "a registry's host: clients know where to go"},
	{"sum." + "golang", "a registry's host: clients know where to go"},
	{"deb." + "debian", "a registry's host: clients know where to go"},
	{"py" + "pi.org", "a registry's host: clients know where to go"},
	{"gh" + "cr.io", "a registry's host: clients know where to go"},
	{"docker" + ".io", "a registry's host: clients know where to go"},
	{"Co-Auth" + "ored", "credit belongs into the README"},
}
