package closure

import (
	"bufio"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A Walk finds what programs need to run: interpreter and libraries, as the dynamic loader would, without running
// anything. It looks where ld.so looks: DT_RPATH, DT_RUNPATH, the directories of ld.so.conf, the default ones.
type Walk struct {
	*sysroot
	// Keep has the paths found so far, from the root: files, links and the directories above them. None lies below a link.
	Keep map[string]bool
	// Links are to be added, path to target: the loader would not find these libraries without.
	Links map[string]string
	// Searched has the directories in which libraries were looked for, whether they exist or not.
	Searched map[string]bool

	arch     arch
	provided map[string]string // paths that the caller names, by base name
	confDirs []string          // of ld.so.conf
	done     map[string]bool   // real paths of ELF files
}

// New starts a walk in the root at dir, whose content must not change meanwhile.
func New(dir string) *Walk {
	w := &Walk{
		sysroot: newSysroot(dir), arch: hostArch(), Keep: map[string]bool{}, Links: map[string]string{},
		provided: map[string]string{}, Searched: map[string]bool{}, done: map[string]bool{},
	}
	w.confDirs = w.readConf("/etc/ld.so.conf", 0)
	return w
}

// AsInside makes the walk look only where the loader of this very root will: it reads ld.so.cache, not ld.so.conf.
func (w *Walk) AsInside() {
	if _, _, err := w.Resolve("/etc/ld.so.cache"); err != nil {
		w.confDirs = nil
	}
}

// Add keeps paths, whatever they are: programs and scripts with what they need, other files, directories with all that
// is in them. A path that lies outside of the loader's directories also serves as the library of its name.
func (w *Walk) Add(paths []string) error {
	for _, p := range paths {
		w.provided[path.Base(p)] = p
	}
	for _, p := range paths {
		if err := w.tree(path.Clean("/" + p)); err != nil {
			return err
		}
	}
	return nil
}

// readConf gives the directories of an ld.so.conf, which may be absent, as ldconfig reads it.
func (w *Walk) readConf(p string, depth int) (dirs []string) {
	real, _, err := w.Resolve(p)
	if err != nil || depth > 8 {
		return nil
	}
	f, err := os.Open(w.On(real))
	if err != nil {
		return nil
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		line = strings.TrimSpace(line)
		pattern, isInclude := strings.CutPrefix(line, "include")
		switch {
		case isInclude:
			pattern = strings.TrimSpace(pattern)
			if !path.IsAbs(pattern) {
				pattern = path.Join(path.Dir(p), pattern)
			}
			matches, _ := filepath.Glob(w.On(pattern)) // its one error is a bad pattern, which matches nothing
			for _, m := range matches {
				dirs = append(dirs, w.readConf(strings.TrimPrefix(m, strings.TrimSuffix(w.dir, "/")), depth+1)...)
			}
		case path.IsAbs(line):
			dirs = append(dirs, path.Clean(line))
		}
	}
	return dirs
}

// defaults are the directories that the loader itself knows, and those it knows only from the cache that a root lacks.
func (w *Walk) defaults(musl bool) (builtin, cached []string) {
	if musl {
		return []string{"/lib", "/usr/local/lib", "/usr/lib"}, nil
	}
	t := w.arch.triplet
	return []string{"/lib/" + t, "/usr/lib/" + t, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}, w.confDirs
}

// A library is an ELF file in the walk of one program.
type library struct {
	*File
	path   string   // as the loader would have found it
	origin string   // $ORIGIN
	loader *library // which needed it first
}

// Program adds p with its interpreter and libraries, and a script with its interpreter. A file that is neither is
// added alone. Missing pieces are errors that name what is missing and who needs it.
func (w *Walk) Program(p string) error { return w.programAt(p, 0) }

func (w *Walk) programAt(p string, depth int) error {
	real, err := w.add(p)
	if err != nil {
		return err
	}
	if w.done[real] {
		return nil
	}
	e, err := w.ReadELF(real)
	if errors.Is(err, ErrNotELF) {
		return w.script(p, real, depth)
	} else if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	if e.typ != elf.ET_EXEC && e.typ != elf.ET_DYN {
		return nil
	}
	if err := w.arch.runs(e); err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	w.done[real] = true
	return w.libraries(&library{File: e, path: p, origin: path.Dir(real)})
}

// script adds the interpreter that the first line of a script names.
func (w *Walk) script(p, real string, depth int) error {
	info, err := w.Lstat(real)
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	f, err := os.Open(w.On(real))
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 256)
	n, _ := f.ReadAt(head, 0) // shorter files are no scripts of note
	line, isScript := strings.CutPrefix(string(head[:n]), "#!")
	if !isScript {
		return nil
	}
	line, _, _ = strings.Cut(line, "\n")
	fields := strings.Fields(line)
	if len(fields) == 0 || !path.IsAbs(fields[0]) || depth >= 4 {
		return fmt.Errorf("%q: script whose first line names no interpreter by an absolute path", p)
	}
	if err := w.programAt(fields[0], depth+1); err != nil {
		return fmt.Errorf("interpreter of script %q: %w%s", p, err, hint(err))
	}
	return nil
}

// libraries walks breadth first, as the loader does: a name that is loaded already is not searched again.
func (w *Walk) libraries(main *library) error {
	loaded := map[string]bool{}
	musl := strings.HasPrefix(path.Base(main.interp), "ld-musl")
	if main.interp != "" {
		real, err := w.add(main.interp)
		if err != nil {
			return fmt.Errorf("interpreter %q, needed by %q: %w%s", main.interp, main.path, err, hint(err))
		}
		e, err := w.ReadELF(real)
		if err == nil {
			err = w.arch.runs(e)
		}
		if err != nil {
			return fmt.Errorf("interpreter %q, needed by %q: %w", main.interp, main.path, err)
		}
		loaded[path.Base(main.interp)], loaded[e.soname] = true, true
	}
	for queue := []*library{main}; len(queue) > 0; queue = queue[1:] {
		for _, name := range queue[0].needed {
			if loaded[name] || musl && strings.HasPrefix(name, "libc.") {
				continue
			}
			lib, err := w.find(name, queue[0], musl)
			if err != nil {
				return err
			}
			loaded[name], loaded[lib.soname] = true, true
			queue = append(queue, lib)
		}
	}
	return nil
}

// find searches one library for the file that needs it, and adds it.
func (w *Walk) find(name string, by *library, musl bool) (*library, error) {
	if strings.Contains(name, "/") {
		if lib, _ := w.try(name, by); path.IsAbs(name) && lib != nil {
			return lib, w.take(lib)
		}
		return nil, fmt.Errorf("library %q, needed by %q: not found in the root", name, by.path)
	}
	var dirs []string
	if len(by.runpath) == 0 {
		for l := by; l != nil; l = l.loader {
			if len(l.runpath) == 0 {
				dirs = append(dirs, w.expand(l.rpath, l.origin)...)
			}
		}
	}
	dirs = append(dirs, w.expand(by.runpath, by.origin)...)
	builtin, cached := w.defaults(musl)
	var wrong error
	for i, dir := range append(append(dirs, cached...), builtin...) {
		w.Searched[dir] = true
		lib, err := w.try(path.Join(dir, name), by)
		if lib == nil {
			wrong = errors.Join(wrong, err)
			continue
		}
		if i >= len(dirs) && i < len(dirs)+len(cached) && !w.reaches(builtin, lib.path) {
			w.link(builtin, name, lib.path)
		}
		return lib, w.take(lib)
	}
	if p, ok := w.provided[name]; ok {
		lib, err := w.try(p, by)
		if err != nil {
			return nil, err
		}
		if lib != nil {
			w.link(builtin, name, p)
			return lib, w.take(lib)
		}
	}
	return nil, w.missing(name, by, builtin, wrong)
}

// reaches says whether the loader finds the file of p in its own directories too.
func (w *Walk) reaches(builtin []string, p string) bool {
	want, _, err := w.Resolve(p)
	for _, dir := range builtin {
		if real, _, rerr := w.Resolve(path.Join(dir, path.Base(p))); err == nil && rerr == nil {
			return real == want
		}
	}
	return false
}

// link asks for a link to a library in the first of the loader's directories that exists.
func (w *Walk) link(builtin []string, name, target string) {
	for _, dir := range builtin {
		if real, _, err := w.Resolve(dir); err == nil {
			w.Links[path.Join(real, name)] = target
			return
		}
	}
	w.Links[path.Join("/usr/lib", name)] = target
}

// missing says what was looked for, and names files of that name that lie where the loader does not look.
func (w *Walk) missing(name string, by *library, builtin []string, wrong error) error {
	err := fmt.Errorf("library %q, needed by %q: not found in the root", name, by.path)
	if wrong != nil {
		return fmt.Errorf("%w: %w", err, wrong)
	}
	for _, dir := range builtin {
		real, _, rerr := w.Resolve(dir)
		if rerr != nil {
			continue
		}
		if hits, _ := filepath.Glob(w.On(path.Join(real, "*", name))); len(hits) > 0 {
			return fmt.Errorf("%w: the link that a package's script makes for %q is absent, since scripts do not run: add that path to keep",
				err, strings.TrimPrefix(hits[0], strings.TrimSuffix(w.dir, "/")))
		}
	}
	return fmt.Errorf("%w%s", err, addLayer)
}

// try opens a candidate. An absent one and, with the reason, one of another architecture are not the library.
func (w *Walk) try(p string, by *library) (*library, error) {
	real, _, err := w.Resolve(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return nil, err
	}
	e, err := w.ReadELF(real)
	if err == nil {
		err = w.arch.runs(e)
	}
	if err != nil {
		return nil, fmt.Errorf("%q: %w", p, err)
	}
	return &library{File: e, path: p, origin: path.Dir(p), loader: by}, nil
}

func (w *Walk) take(lib *library) error {
	real, err := w.add(lib.path)
	w.done[real] = true
	return err
}

// expand gives the directories of an RPATH or RUNPATH.
func (w *Walk) expand(dirs []string, origin string) (out []string) {
	r := strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin, "${LIB}", "lib/"+w.arch.triplet, "$LIB", "lib/"+w.arch.triplet)
	for _, d := range dirs {
		if d = r.Replace(d); path.IsAbs(d) && !strings.Contains(d, "$") {
			out = append(out, d) // the loader keeps the rest for the working directory, which is not known here
		}
	}
	return out
}

// add keeps a path, the links on the way to it and the directories above; it gives the path without links.
func (w *Walk) add(p string) (string, error) {
	real, links, err := w.Resolve(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%q: %w%s", p, errAbsent, dangling(links))
		}
		return "", fmt.Errorf("%q: %w", p, err)
	}
	for _, q := range append(links, real) {
		for ; q != "/" && !w.Keep[q]; q = path.Dir(q) {
			w.Keep[q] = true
		}
	}
	return real, nil
}

var errAbsent = errors.New("no such file in the root")

// hint says what to do where a program's interpreter is absent.
func hint(err error) string {
	if errors.Is(err, errAbsent) && !strings.Contains(err.Error(), addLayer) {
		return addLayer
	}
	return ""
}

const addLayer = ": add the package or layer that holds it"

func dangling(links []string) string {
	if len(links) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the link %q leads nowhere)", links[len(links)-1])
}

// tree adds a path whatever it is: a directory with all that is in it, and the programs and libraries inside with
// what they need.
func (w *Walk) tree(p string) error {
	real, err := w.add(p)
	if err != nil {
		return fmt.Errorf("keep %w%s", err, keepHint)
	}
	return filepath.WalkDir(w.On(real), func(host string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		q := path.Join("/", strings.TrimPrefix(host, strings.TrimSuffix(w.dir, "/")))
		w.Keep[q] = true
		switch {
		case d.Type().IsRegular():
			return w.Program(q)
		case d.Type()&fs.ModeSymlink != 0:
			if _, err := w.add(q); errors.Is(err, fs.ErrNotExist) {
				return nil
			}
		}
		return nil
	})
}

const keepHint = "; links that a package's scripts would make are not there: name the file they point to"
