package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"mmbox/isolation"
	"mmbox/models"
	"mmbox/rootfs"
	"mmbox/runtime"
)

// The exit codes of verbs that run a program are the program's own and these; the others' are 0, exitFailed and
// exitUsage.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitTimeout    = 124
	exitMmbox      = 125
	exitInterrupt  = 130
	codeInternal   = "failed"
	codeUsage      = "usage"
	codeTimeout    = "timeout"
	codeInterrupt  = "interrupted"
	codePermission = "permission"
)

// A usage error is a command line that makes no sense.
type usage struct{ message string }

func (u *usage) Error() string { return u.message }

// An exit is the end of a program that a verb ran: its exit code and nothing to say.
type exit struct{ code int }

func (e *exit) Error() string { return fmt.Sprintf("the program ended with %d", e.code) }

// A hinted error tells a person what to do next.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// errTimeout ends a verb whose own time is up.
var errTimeout = errors.New("the time given by --timeout is up")

// codes is the closed list of error codes, the first that fits counting, with the hint for what has none of its own.
var codes = []struct {
	is   error
	code string
	hint string
}{
	{errTimeout, codeTimeout, ""},
	{context.Canceled, codeInterrupt, ""},
	{errSettings, "bad_settings", "mmbox schema config describes the file"},
	{models.ErrNotFound, "model_not_found", "mmbox install DIR installs a model"},
	{models.ErrExists, "model_exists", ""},
	{models.ErrDamaged, "model_damaged", "remove and install it again"},
	{rootfs.ErrNotSupported, "not_supported", ""},
	{runtime.ErrNotFound, "sandbox_not_found", "mmbox ps --all lists all sandboxes"},
	{runtime.ErrExists, "sandbox_exists", "name another with --id, or remove it with mmbox rm"},
	{runtime.ErrRunning, "sandbox_running", "stop it first with mmbox stop"},
	{runtime.ErrStopped, "sandbox_not_running", "start it with mmbox start"},
	{runtime.ErrPaused, "sandbox_paused", "let it go on with mmbox resume"},
	{runtime.ErrNotPaused, "sandbox_not_paused", ""},
	{runtime.ErrBadID, "bad_id", ""},
	{errInUse, "model_in_use", ""},
	{isolation.ErrUnsupported, "host_unsupported", "mmbox doctor shows what this host can do"},
	{isolation.ErrNoRange, "no_user_ids", ""},
	{unix.ENOSPC, "disk_full", "free some space, or run mmbox gc"},
	{unix.EROFS, "read_only", "name other directories with --root and --state"},
	{fs.ErrPermission, codePermission, "mmbox needs root"},
	{fs.ErrNotExist, "not_found", ""},
}

// A failure is an error as it is shown.
type failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	exit    int
}

// explain gives an error its code, its hint and its exit code.
func explain(err error) failure {
	f := failure{Code: codeInternal, Message: strings.TrimSpace(err.Error()), exit: exitFailed}
	for _, c := range codes {
		if errors.Is(err, c.is) {
			f.Code, f.Hint = c.code, c.hint
			break
		}
	}
	var (
		bad      *usage
		manifest *models.ManifestError
		launch   *runtime.LaunchError
		hint     *hinted
		program  *programError
		signal   *interruption
	)
	if errors.As(err, &launch) {
		f.exit = launch.Code
	}
	switch {
	case errors.As(err, &bad):
		f.Code, f.exit = codeUsage, exitUsage
	case errors.As(err, &manifest) && !errors.Is(err, errSettings):
		f.Code = "bad_manifest"
	case errors.As(err, &program):
		f.Code, f.exit = "program_not_found", program.code
	case f.Code == codeTimeout:
		f.exit = exitTimeout
	case f.Code == codeInterrupt && errors.As(err, &signal):
		f.exit = 128 + int(signal.signal)
	case f.Code == codeInterrupt:
		f.exit = exitInterrupt
	}
	if errors.As(err, &hint) {
		f.Hint = hint.hint
	}
	return f
}

// fail shows an error and returns the exit code of the command.
func (m *mmbox) fail(err error) int {
	var ended *exit
	if err == nil {
		return 0
	}
	if errors.As(err, &ended) {
		return ended.code
	}
	f := explain(err)
	if m.runs && f.exit == exitFailed {
		f.exit = exitMmbox
	}
	if m.settings.json {
		// A failure to write the reason leaves nothing better to do than the exit code.
		_ = json.NewEncoder(m.stderr).Encode(map[string]failure{"error": f})
		return f.exit
	}
	fmt.Fprintf(m.stderr, "mmbox: %s\n", f.Message)
	if f.Hint != "" {
		fmt.Fprintf(m.stderr, "  %s\n", f.Hint)
	}
	return f.exit
}
