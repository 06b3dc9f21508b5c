package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"mmbox/cgroups"
)

// A Repair is something that a killed process left behind.
type Repair struct {
	Kind string `json:"kind"` // sandbox, directory, cgroup or users
	Name string `json:"name"`
	Done string `json:"done"` // what was done about it, or would be
}

// Sweep repairs what killed processes left in d: sandboxes without a supervisor, directories without a record, cgroups
// and user ids without a sandbox. What lives is not touched. With dry it only says what it would do.
func (d Dir) Sweep(ctx context.Context, dry bool) ([]Repair, error) {
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var repairs []Repair
	var errs []error
	for _, id := range ids {
		r, err := d.sweepSandbox(ctx, id, dry)
		errs = append(errs, err)
		if r != nil {
			repairs = append(repairs, *r)
		}
	}
	leftovers, err := d.sweepLeftovers(ctx, dry)
	repairs, errs = append(repairs, leftovers...), append(errs, err)
	if !dry {
		owners, err := d.ranges().Sweep()
		errs = append(errs, err)
		for _, owner := range owners {
			repairs = append(repairs, Repair{"users", owner, "freed"})
		}
	}
	return repairs, errors.Join(errs...)
}

func (d Dir) sweepSandbox(ctx context.Context, id string, dry bool) (*Repair, error) {
	s, err := d.Open(id)
	if errors.Is(err, ErrNotFound) || errors.Is(err, errDamaged) {
		return nil, nil // of sweepLeftovers
	}
	if err != nil {
		return nil, err
	}
	status, err := s.Status()
	if errors.Is(err, ErrNotFound) || err == nil && status != Lost && !(status == Stopped && s.Remove) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	repair := &Repair{Kind: "sandbox", Name: id, Done: "recorded as lost: its supervisor was killed"}
	if s.Remove {
		repair.Done = "removed: the command that ran it was killed"
	}
	if dry {
		return repair, nil
	}
	if err := s.take(ctx); errors.Is(err, ErrRunning) || errors.Is(err, ErrNotFound) {
		return nil, nil // somebody else is at it
	} else if err != nil {
		return nil, err
	}
	if err := s.clear(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if s.Remove {
		return repair, s.discard()
	}
	s.End = &End{Finished: time.Now(), ExitCode: 125, Lost: true}
	return repair, errors.Join(s.save(), s.Close())
}

// sweepDirectory removes a sandbox's directory that has no record, or one that cannot be read: its creation or removal
// was cut short, or the machine's end did it.
func (d Dir) sweepDirectory(ctx context.Context, id string, dry bool) (*Repair, error) {
	s := &Sandbox{dir: d, Record: Record{ID: id}}
	damage := s.load()
	if !errors.Is(damage, fs.ErrNotExist) && !errors.Is(damage, errDamaged) {
		return nil, damage
	}
	if err := s.lease(); errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil // being removed
	} else if err != nil {
		return nil, err
	}
	repair := &Repair{"directory", s.path(), "removed: it has no record"}
	if errors.Is(damage, errDamaged) {
		repair.Done = "removed: its record cannot be read"
	}
	if dry {
		return repair, s.Close()
	}
	return repair, errors.Join(s.clear(ctx), s.discard())
}

// sweepLeftovers removes directories without a record and cgroups without a directory, while nobody makes any.
func (d Dir) sweepLeftovers(ctx context.Context, dry bool) ([]Repair, error) {
	if _, err := os.Stat(d.root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	unlock, err := d.share(unix.LOCK_EX)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", d.root, err)
	}
	defer unlock()
	ids, err := d.ids()
	if err != nil {
		return nil, err
	}
	var repairs []Repair
	for _, id := range ids {
		r, err := d.sweepDirectory(ctx, id, dry)
		if err != nil {
			return repairs, err
		}
		if r != nil {
			repairs = append(repairs, *r)
		}
	}
	groups, err := d.sweepGroups(ctx, ids, dry)
	return append(repairs, groups...), err
}

// sweepGroups removes cgroups whose sandbox does not exist, and the parent when it is empty.
func (d Dir) sweepGroups(ctx context.Context, ids []string, dry bool) ([]Repair, error) {
	names, err := d.host.List(d.cgroupParent())
	if err != nil {
		return nil, err
	}
	var repairs []Repair
	for _, name := range names {
		if strings.HasPrefix(name, "+") || slices.Contains(ids, name) {
			continue
		}
		repairs = append(repairs, Repair{"cgroup", d.Cgroup(name), "removed: it has no sandbox"})
		if dry {
			continue
		}
		gone := &Sandbox{dir: d, Record: Record{ID: name}}
		if err := gone.clear(ctx); err != nil {
			return repairs, err
		}
	}
	if dry {
		return repairs, nil
	}
	// Removing a group removes those below it, and another state directory's may be there.
	if names, err := d.host.List(d.cgroupParent()); err != nil || len(names) > 0 {
		return repairs, err
	}
	if err := d.group(d.cgroupParent()).Remove(); err != nil && !errors.Is(err, cgroups.ErrBusy) {
		return repairs, err
	}
	return repairs, nil
}
