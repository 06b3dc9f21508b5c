package e2e

import (
	"bytes"
	"sync"
)

// An output collects what a command writes while it runs.
type output struct {
	lock    sync.Mutex
	content bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.lock.Lock()
	defer o.lock.Unlock()
	return o.content.Write(p)
}

func (o *output) String() string {
	o.lock.Lock()
	defer o.lock.Unlock()
	return o.content.String()
}
