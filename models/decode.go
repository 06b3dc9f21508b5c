package models

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A decoder turns YAML nodes into plain values by a table of shapes, and notes all that is wrong on the way.
type decoder struct {
	file     string
	problems []Problem
}

func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	sortProblems(d.problems)
	return &ManifestError{d.problems}
}

// problem notes what is wrong at a node, or with the file as a whole where there is none.
func (d *decoder) problem(at *yaml.Node, format string, args ...any) {
	p := Problem{File: d.file, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	d.problems = append(d.problems, p)
}

// value gives what a node holds: map[string]any, []any, string, bool or int64; nil where a problem was noted. path names
// the node in messages.
func (d *decoder) value(n *yaml.Node, s *shape, path string) any {
	switch s.kind {
	case object, dict:
		if n.Kind == yaml.MappingNode {
			return d.mapping(n, s, path)
		}
	case list:
		if n.Kind == yaml.SequenceNode {
			return d.list(n, s, path)
		}
	default:
		if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			return d.scalar(n, s, path)
		}
	}
	d.wrongType(n, s, path)
	return nil
}

func (d *decoder) wrongType(n *yaml.Node, s *shape, path string) {
	if n.Kind == yaml.AliasNode {
		return // noted by refuseClever
	}
	if path == "" {
		path = "the manifest"
	}
	d.problem(n, "%s is %s; write %s, as in %s", path, describeNode(n), s.kind, s.sample())
}

func describeNode(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!bool":
		return "the boolean " + n.Value
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + n.Value
	case n.Tag == "!!timestamp":
		return "the date " + n.Value
	}
	return fmt.Sprintf("the text %q", shorten(n.Value))
}

func (d *decoder) list(n *yaml.Node, s *shape, path string) any {
	if len(n.Content) < s.least {
		d.problem(n, "%s is empty; write at least one, as in %s", path, s.sample())
		return nil
	}
	values := make([]any, 0, len(n.Content))
	for i, child := range n.Content {
		values = append(values, d.value(child, s.element(i), fmt.Sprintf("%s[%d]", path, i)))
	}
	return values
}

// mapping decodes an object, whose keys are known, or a dict, whose keys are data.
func (d *decoder) mapping(n *yaml.Node, s *shape, path string) any {
	values, at := map[string]any{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		elem := d.key(key, s, path, at)
		if elem == nil {
			continue
		}
		at[key.Value] = key
		values[key.Value] = d.value(n.Content[i+1], elem, strings.TrimPrefix(path+"."+key.Value, "."))
	}
	if s.kind == object {
		d.complete(n, s, path, values)
	}
	if s.whole != nil {
		s.whole(values, func(key, format string, args ...any) {
			where := n
			if at[key] != nil {
				where = at[key]
			}
			d.problem(where, format, args...)
		})
	}
	return values
}

// key checks a key and gives the shape of its value, or nil with a problem noted.
func (d *decoder) key(key *yaml.Node, s *shape, path string, seen map[string]*yaml.Node) *shape {
	if key.Kind != yaml.ScalarNode {
		d.problem(key, "a key that is %s; write a plain word", describeNode(key))
		return nil
	}
	if key.Tag == "!!merge" {
		return nil // noted by refuseClever
	}
	if first := seen[key.Value]; first != nil {
		d.problem(key, "duplicate key %q, first on line %d; keep one", shorten(key.Value), first.Line)
		return nil
	}
	if s.kind == dict {
		if err := s.keys(key.Value); err != nil {
			d.problem(key, "%v", err)
			return nil
		}
		return s.elem
	}
	for i := range s.fields {
		if s.fields[i].key == key.Value {
			return s.fields[i].shape
		}
	}
	d.unknownKey(key, s, path)
	return nil
}

func (d *decoder) unknownKey(key *yaml.Node, s *shape, path string) {
	known := make([]string, len(s.fields))
	for i, f := range s.fields {
		known[i] = f.key
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	if near := nearest(key.Value, known); near != "" {
		d.problem(key, "unknown key %q%s; write %s", shorten(key.Value), where, near)
		return
	}
	d.problem(key, "unknown key %q%s; write one of %s", shorten(key.Value), where, strings.Join(known, " "))
}

// complete notes missing keys and broken choices between keys, and sets what has a default.
func (d *decoder) complete(n *yaml.Node, s *shape, path string, values map[string]any) {
	prefix := ""
	if path != "" {
		prefix = path + ": "
	}
	for _, f := range s.fields {
		if _, set := values[f.key]; set {
			continue
		}
		if f.required {
			d.problem(n, "%smissing key %q; write %s: %s", prefix, f.key, f.key, f.shape.sample())
		}
		if f.fallback != nil {
			values[f.key] = f.fallback
		}
	}
	for _, c := range s.choices {
		var set []string
		for _, key := range c.keys {
			if _, ok := values[key]; ok {
				set = append(set, key)
			}
		}
		switch {
		case len(set) == 0:
			d.problem(n, "%snone of the keys %s; write %s", prefix, strings.Join(c.keys, ", "), c.rule())
		case len(set) > 1 && !c.several:
			d.problem(n, "%sboth %s; write %s of %s", prefix, strings.Join(set, " and "), c.rule(), strings.Join(c.keys, ", "))
		}
	}
}

func (d *decoder) scalar(n *yaml.Node, s *shape, path string) any {
	value, err := any(nil), error(nil)
	number := n.Tag == "!!int" || n.Tag == "!!float"
	switch {
	case s.kind == text && n.Tag != "!!str":
		d.problem(n, "%s is %s; put it in quotes to make it a text: %s", path, describeNode(n), strconv.Quote(n.Value))
		return nil
	case s.kind == text:
		value, err = n.Value, s.checkText(n.Value)
	case s.kind == flag && n.Tag == "!!bool":
		value = strings.EqualFold(n.Value, "true")
	case s.kind == count && number:
		value, err = parseCount(n.Value)
	case s.kind == size && (number || n.Tag == "!!str"):
		var bytes Size
		if bytes, err = ParseSize(n.Value); err == nil {
			value, err = int64(bytes), checkAtLeast(s.noun, bytes, s.least64, s.sample())
		}
	case s.kind == cores && (number || n.Tag == "!!str"):
		var c CPU
		c, err = ParseCPU(n.Value)
		value = int64(c)
	default:
		d.wrongType(n, s, path)
		return nil
	}
	if err != nil {
		d.problem(n, "%v", err)
		return nil
	}
	return value
}

// checkText applies what holds for every text, then the shape's own check.
func (s *shape) checkText(value string) error {
	if strings.ContainsRune(value, 0) || !utf8.ValidString(value) {
		return fmt.Errorf("%s %q: has a NUL character; no path or argument can carry one, write it without", s.noun, shorten(value))
	}
	if len(s.oneOf) > 0 {
		for _, c := range s.oneOf {
			if c == value {
				return nil
			}
		}
		return fmt.Errorf("%s %q: unknown; write %s", s.noun, shorten(value), strings.Join(s.oneOf, " or "))
	}
	if s.check == nil {
		return nil
	}
	return s.check(value)
}

// parseCount reads a limit on processes: a plain whole number.
func parseCount(text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case len(text) > 1 && text[0] == '0':
		return 0, fmt.Errorf("pids %q: a leading zero means octal in YAML; write a plain number, as in 16", text)
	case err != nil:
		return 0, fmt.Errorf("pids %q: not a whole number; write a number from 1 to %d, as in 16", text, MaxPIDs)
	}
	return n, checkPIDs(n)
}
