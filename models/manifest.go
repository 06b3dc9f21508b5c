package models

// Schema is the value of a manifest's schema key: the format this package reads.
const Schema = "mmbox/v1"

// A Manifest is a model.yaml: what a model is and what it may use. Parse returns only complete and valid ones: every
// limit is set, every path clean and absolute inside the root. The zero value of every field is the strictest.
type Manifest struct {
	Schema      string          `json:"schema"`
	Name        string          `json:"name"`
	Version     string          `json:"version"`
	Description string          `json:"description,omitempty"`
	Task        string          `json:"task,omitempty"`
	License     string          `json:"license,omitempty"`
	RootFS      []Layer         `json:"rootfs"`          // lowest first
	Files       map[string]File `json:"files,omitempty"` // by absolute path in the root
	Run         Run             `json:"run"`
	Resources   Resources       `json:"resources"`
	Network     string          `json:"network"` // "none" or "host"
	Seccomp     string          `json:"seccomp"` // "default" or "unconfined"
	Loosen      Loosen          `json:"loosen"`
	Golden      []Golden        `json:"golden,omitempty"`
}

// A Layer is one source of a root file system. Exactly one of Debs, Closure, Tar, Dir, OCI and Image is set. Tar and
// Dir are paths inside the manifest's directory, links included; Tar may be an address instead.
type Layer struct {
	Debs    []string `json:"debs,omitempty"`    // Debian packages, with what they depend on, without their scripts
	Closure []string `json:"closure,omitempty"` // programs of this host that all its users may read, with the libraries they name
	Keep    []string `json:"keep,omitempty"`    // with Debs, Tar or Dir: prune to the ELF closure of these programs, and these files and directories
	Tar     string   `json:"tar,omitempty"`     // a tar archive: plain, gzip or zstd
	SHA256  string   `json:"sha256,omitempty"`  // of Tar, in hexadecimal
	Dir     string   `json:"dir,omitempty"`
	OCI     string   `json:"oci,omitempty"`
	Image   string   `json:"image,omitempty"`
}

// A File is a read-only file of a model, kept by its digest.
type File struct {
	Source string `json:"source"`           // relative to the manifest's directory
	SHA256 string `json:"sha256,omitempty"` // in hexadecimal; empty trusts the local source
}

// Run names a model's entrypoints: Infer answers one request, stdin to stdout, and exits; Serve stays up and answers
// many. At least one is set.
type Run struct {
	Infer *Entrypoint `json:"infer,omitempty"`
	Serve *Entrypoint `json:"serve,omitempty"`
}

// An Entrypoint is a command inside the root.
type Entrypoint struct {
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env,omitempty"`
	Dir      string            `json:"dir,omitempty"`      // working directory; empty is /
	Protocol string            `json:"protocol,omitempty"` // of serve: "lines" or "http"
}

// Resources are a sandbox's limits. All are set in a parsed manifest.
type Resources struct {
	CPU    CPU   `json:"cpu"`
	Memory Size  `json:"memory"` // bytes, swap excluded
	PIDs   int64 `json:"pids"`   // processes and threads
	Tmp    Size  `json:"tmp"`    // bytes of /tmp
}

// CPU is an amount of processor time per time, in thousandths of a core: 1500 is one and a half cores.
type CPU int64

// Size is an amount of bytes. In text it carries a suffix, as Kubernetes' quantities do: 512Mi, 2G, 100k.
type Size int64

// Loosen lifts single protections of the default sandbox. What is lifted is shown by inspect.
type Loosen struct {
	RootUser      bool     `json:"root_user,omitempty"`      // run as uid 0 of the sandbox's user namespace
	HostUsers     bool     `json:"host_users,omitempty"`     // no user namespace: ids inside are the host's
	NewPrivileges bool     `json:"new_privileges,omitempty"` // set-user-ID programs gain privileges
	Capabilities  []string `json:"capabilities,omitempty"`   // such as CAP_NET_BIND_SERVICE
}

// A Golden case is an input with the output it must give: a model's own proof. One of Input and InputFile, and one of
// Match, Output and OutputSHA256, is set.
type Golden struct {
	Name         string `json:"name,omitempty"`
	Input        string `json:"input,omitempty"`
	InputFile    string `json:"input_file,omitempty"` // relative to the manifest's directory; kept in the store
	Match        string `json:"match,omitempty"`      // regular expression (RE2) found in the output
	Output       string `json:"output,omitempty"`     // the exact output, a final newline aside
	OutputSHA256 string `json:"output_sha256,omitempty"`
}
