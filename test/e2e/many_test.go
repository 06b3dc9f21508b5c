package e2e

import (
	"fmt"
	"sync"
	"testing"
)

// at runs n calls at once and waits for all.
func at(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// fifty is how many at once; the VM's processor is software.
func fifty() int {
	if inVM {
		return 16
	}
	return 50
}

func TestFiftyRunsAtOnce(t *testing.T) {
	l := newLab(t)
	at(fifty(), func(i int) {
		text := fmt.Sprintf("request %d\n", i)
		if r := l.runWith(text, "run", "probe"); r.code != 0 || r.stdout != text || r.stderr != "" {
			t.Errorf("%v", r)
		}
	})
	l.nothingLeft()
}

func TestFiftyStartsAndStopsAtOnce(t *testing.T) {
	l := newLab(t)
	at(fifty(), func(i int) {
		id := fmt.Sprintf("server-%d", i)
		l.serve(id)
		if s := l.inspect(id); s.Status != "running" {
			t.Errorf("%s: %+v", id, s)
		}
		l.ok("stop", id)
		if e := l.wait(id); e.ExitCode != 42 {
			t.Errorf("%s: %+v", id, e)
		}
		l.ok("rm", id)
	})
	l.nothingLeft()
}

// Many callers start the same sandbox: one makes it, all succeed.
func TestSameStartAtOnce(t *testing.T) {
	l := newLab(t)
	at(fifty()/4, func(int) { l.ok("start", "probe") })
	if out := l.ok("ps", "--quiet"); out != "probe\n" {
		t.Errorf("ps: %q", out)
	}
	at(fifty()/4, func(int) { l.ok("stop", "probe") })
	at(fifty()/4, func(int) { l.ok("rm", "probe") })
	l.nothingLeft()
}
