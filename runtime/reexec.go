package runtime

import (
	"os"
	goruntime "runtime"

	"github.com/opencontainers/runc/libcontainer"
	_ "github.com/opencontainers/runc/libcontainer/nsenter" // enters the namespaces before Go's runtime starts
)

// init answers libcontainer's re-execution of this binary inside the new namespaces, and otherwise keeps the main
// goroutine on the main thread: a sandbox is killed when the thread that made it ends, and the main thread does not.
func init() {
	if len(os.Args) > 1 && os.Args[1] == "init" && os.Getenv("_LIBCONTAINER_INITPIPE") != "" {
		libcontainer.Init()
	}
	goruntime.LockOSThread()
}
