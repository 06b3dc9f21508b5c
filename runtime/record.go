package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"mmbox/cgroups"
	"mmbox/isolation"
	"mmbox/models"
)

// A Record is what is known of a sandbox. Whoever creates it sets the first group; the rest is recorded as it happens.
type Record struct {
	ID         string            `json:"id"`
	Model      string            `json:"model,omitempty"`
	Version    string            `json:"version,omitempty"`
	Digest     models.Digest     `json:"digest,omitempty"` // of the model
	Entrypoint string            `json:"entrypoint,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Users      isolation.Range   `json:"users"` // the zero range without a user namespace
	Limits     cgroups.Limits    `json:"limits"`
	Tmp        models.Size       `json:"tmp"`
	Loosened   []string          `json:"loosened"`
	Warnings   []string          `json:"warnings,omitempty"` // protections the host cannot give, asked to go on without
	StopSignal string            `json:"stop_signal,omitempty"`
	Log        string            `json:"log,omitempty"`    // where output goes when detached
	Input      bool              `json:"input,omitempty"`  // when detached, standard input is a pipe that never ends: see Sandbox.Input
	Remove     bool              `json:"remove,omitempty"` // removed when it ends
	Created    time.Time         `json:"created"`

	Cgroup    string    `json:"cgroup,omitempty"`
	PID       int       `json:"pid,omitempty"`       // of the program, on the host
	PIDStart  uint64    `json:"pid_start,omitempty"` // when that process began, in clock ticks since boot: tells a reused PID
	Started   time.Time `json:"started,omitzero"`    // the program was executed
	Phases    Phases    `json:"phases,omitempty"`    // of the start
	Requested string    `json:"requested,omitempty"` // a signal that was delivered as SIGKILL, since the program had no handler for it
	End       *End      `json:"end,omitempty"`       // nil while it lives
	Restarts  int       `json:"restarts,omitempty"`  // by mmbox restart
}

// Phases says how long each step of a start took, in the order they happened.
type Phases []Phase

// A Phase is one step of a start.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// An End is how a sandbox ended. What the host cannot tell is nil.
type End struct {
	Finished    time.Time `json:"finished"`
	ExitCode    int       `json:"exit_code"`        // 128 + n for a signal; see Lost
	Signal      string    `json:"signal,omitempty"` // that ended it, such as SIGKILL
	OOMKilled   bool      `json:"oom_killed"`
	OOMKills    *uint64   `json:"oom_kills,omitempty"`   // processes the kernel killed for want of memory
	MemoryPeak  *uint64   `json:"memory_peak,omitempty"` // bytes
	CPUSeconds  *float64  `json:"cpu_seconds,omitempty"`
	Lost        bool      `json:"lost,omitempty"` // the supervisor was killed: how the program ended is not known
	FailedStart string    `json:"failed_start,omitempty"`
}

// errDamaged says that a record cannot be read.
var errDamaged = errors.New("its record is damaged: mmbox gc removes it")

func (s *Sandbox) load() error {
	content, err := os.ReadFile(filepath.Join(s.path(), "record.json"))
	if err != nil {
		return err
	}
	var r Record
	if err := json.Unmarshal(content, &r); err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	if r.ID != s.ID {
		return fmt.Errorf("%w: it is of %q", errDamaged, r.ID)
	}
	s.Record = r
	return nil
}

func (s *Sandbox) save() error {
	content, err := json.MarshalIndent(s.Record, "", "  ")
	if err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	if err := replaceFile(filepath.Join(s.path(), "record.json"), content); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}

// Status is what a sandbox does now.
type Status string

// The states of a sandbox, in the words of the OCI runtime specification with two more: Paused, and Lost for one whose
// supervisor was killed before it could record the end.
const (
	Creating Status = "creating"
	Running  Status = "running"
	Paused   Status = "paused"
	Stopped  Status = "stopped"
	Lost     Status = "lost"
)

// Status reads the state of a sandbox from the lease, the record and the kernel.
func (s *Sandbox) Status() (Status, error) {
	held, err := s.held()
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("sandbox %q: %w", s.ID, ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("sandbox %q: %w", s.ID, err)
	}
	if !held {
		// The end is recorded before the lease is let go, so it is there by now if it ever will be.
		if err := s.load(); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("sandbox %q: %w", s.ID, ErrNotFound)
		} else if err != nil {
			return "", fmt.Errorf("sandbox %q: %w", s.ID, err)
		}
		if s.End == nil {
			return Lost, nil
		}
		return Stopped, nil
	}
	switch {
	case s.End != nil:
		return Stopped, nil
	case s.PID == 0:
		return Creating, nil
	}
	frozen, err := s.group().Frozen()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("sandbox %q: %w", s.ID, err)
	}
	if frozen {
		return Paused, nil
	}
	return Running, nil
}
