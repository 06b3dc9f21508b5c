package strict

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mmbox/models/internal/spell"

	"go.yaml.in/yaml/v4"
)

// Decode reads a YAML text as the shape says: map[string]any, []any, string, bool, or what Parse gives. What is wrong with
// the text is an *Error, whose problems name file.
func Decode(file string, data []byte, s *Shape) (any, error) {
	d := &decoder{file: file}
	root := d.document(data)
	var value any
	if root != nil {
		value = d.value(root, s, "")
	}
	if len(d.problems) > 0 {
		return nil, newError(d.problems)
	}
	return value, nil
}

// A decoder notes all that is wrong on its way through the nodes.
type decoder struct {
	file     string
	problems []Problem
}

// problem notes what is wrong at a node, or with the file as a whole where there is none.
func (d *decoder) problem(at *yaml.Node, format string, args ...any) {
	p := Problem{File: d.file, Message: fmt.Sprintf(format, args...)}
	if at != nil {
		p.Line, p.Column = at.Line, at.Column
	}
	d.problems = append(d.problems, p)
}

// value gives what a node holds, nil where a problem was noted. path names the node in messages.
func (d *decoder) value(n *yaml.Node, s *Shape, path string) any {
	switch s.Kind {
	case Object, Dict:
		if n.Kind == yaml.MappingNode {
			return d.mapping(n, s, path)
		}
	case List:
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

func (d *decoder) wrongType(n *yaml.Node, s *Shape, path string) {
	if n.Kind == yaml.AliasNode {
		return // noted by refuseClever
	}
	if path == "" {
		path = "the file"
	}
	if s.Kind == Flag {
		d.problem(n, "%s is %s; write true or false", path, describe(n))
		return
	}
	d.problem(n, "%s is %s; write %s, as in %s", path, describe(n), s.Kind, s.sample())
}

func describe(n *yaml.Node) string {
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
	return fmt.Sprintf("the text %q", spell.Shorten(n.Value))
}

func (d *decoder) list(n *yaml.Node, s *Shape, path string) any {
	if len(n.Content) < s.Least {
		d.problem(n, "%s is an empty list; write at least one, as in %s", path, s.sample())
		return nil
	}
	values := make([]any, 0, len(n.Content))
	for i, child := range n.Content {
		values = append(values, d.value(child, s.element(i), fmt.Sprintf("%s[%d]", path, i)))
	}
	return values
}

// mapping decodes an object, whose keys are known, or a dict, whose keys are data.
func (d *decoder) mapping(n *yaml.Node, s *Shape, path string) any {
	values, at, seen := map[string]any{}, map[string]*yaml.Node{}, map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name, elem := d.key(key, s, path, seen)
		if elem == nil {
			continue
		}
		at[name] = key
		values[name] = d.value(n.Content[i+1], elem, strings.TrimPrefix(path+"."+name, "."))
	}
	if s.Kind == Object {
		d.complete(n, s, path, values)
	}
	if s.Check != nil {
		s.Check(values, func(key, format string, args ...any) {
			where := n
			if at[key] != nil {
				where = at[key]
			}
			d.problem(where, format, args...)
		})
	}
	return values
}

// key checks a key and gives its name and the shape of its value, or no shape with a problem noted. seen holds the line
// of each key so far. A misspelt key is noted, and then taken for the one that was meant: so it is not missing as well.
func (d *decoder) key(key *yaml.Node, s *Shape, path string, seen map[string]int) (string, *Shape) {
	switch {
	case key.Kind == yaml.AliasNode, key.Tag == "!!merge":
		return "", nil // noted by refuseClever
	case key.Kind != yaml.ScalarNode:
		d.problem(key, "a key is %s; write a plain word", describe(key))
		return "", nil
	}
	if line := seen[key.Value]; line != 0 {
		d.problem(key, "duplicate key %q, first on line %d; keep one of them", spell.Shorten(key.Value), line)
		return "", nil
	}
	seen[key.Value] = key.Line
	if s.Kind == Dict {
		if err := s.Keys(key.Value); err != nil {
			d.problem(key, "%v", err)
			return "", nil
		}
		return key.Value, s.Elem
	}
	if shape := s.field(key.Value); shape != nil {
		return key.Value, shape
	}
	meant := d.unknownKey(key, s, path)
	return meant, s.field(meant)
}

// field gives the shape of an object's key, or nil.
func (s *Shape) field(key string) *Shape {
	for _, f := range s.Fields {
		if f.Key == key {
			return f.Shape
		}
	}
	return nil
}

// unknownKey notes a key that is not known and gives the one that was probably meant, or "".
func (d *decoder) unknownKey(key *yaml.Node, s *Shape, path string) string {
	known := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		known[i] = f.Key
	}
	where := ""
	if path != "" {
		where = " in " + path
	}
	near := spell.Nearest(key.Value, known)
	if near != "" {
		d.problem(key, "unknown key %q%s; write %s", spell.Shorten(key.Value), where, near)
	} else {
		d.problem(key, "unknown key %q%s; write one of %s", spell.Shorten(key.Value), where, strings.Join(known, " "))
	}
	return near
}

// complete notes missing keys and broken choices between keys, and sets what has a default.
func (d *decoder) complete(n *yaml.Node, s *Shape, path string, values map[string]any) {
	prefix := ""
	if path != "" {
		prefix = path + ": "
	}
	for _, f := range s.Fields {
		if _, set := values[f.Key]; set {
			continue
		}
		if f.Required {
			d.problem(n, "%smissing key %q; write %s: %s", prefix, f.Key, f.Key, f.Shape.sample())
		}
		if f.Default != "" {
			values[f.Key] = d.absent(n, f)
		}
	}
	for _, c := range s.Choices {
		set := slices.DeleteFunc(slices.Clone(c.Keys), func(key string) bool {
			_, ok := values[key]
			return !ok
		})
		switch {
		case len(set) == 0:
			d.problem(n, "%smissing %s of the keys %s; write %s", prefix, c.rule(), strings.Join(c.Keys, " "), c.rule())
		case len(set) > 1 && !c.Several:
			d.problem(n, "%sthe keys %s exclude each other; keep one of them", prefix, strings.Join(set, " and "))
		}
	}
}

// absent gives the value of a key that is not there but has a default.
func (d *decoder) absent(n *yaml.Node, f Field) any {
	switch f.Shape.Kind {
	case Object:
		values := map[string]any{}
		d.complete(n, f.Shape, f.Key, values)
		return values
	case Count, Quantity:
		value, err := f.Shape.Parse(f.Default)
		if err != nil {
			d.problem(n, "%v", err)
		}
		return value
	}
	return f.Default
}

func (d *decoder) scalar(n *yaml.Node, s *Shape, path string) any {
	var value any
	var err error
	number, word := n.Tag == "!!int" || n.Tag == "!!float", n.Tag == "!!str"
	switch {
	case s.Kind == Text && word:
		value, err = n.Value, s.checkText(n.Value)
	case s.Kind == Text:
		err = fmt.Errorf("%s is %s; put it in quotes to make it a text: %s", path, describe(n), strconv.Quote(n.Value))
	case s.Kind == Flag && n.Tag == "!!bool":
		value = strings.EqualFold(n.Value, "true")
	case s.Kind == Count && number, s.Kind == Quantity && (number || word):
		value, err = s.Parse(n.Value)
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
func (s *Shape) checkText(value string) error {
	if strings.ContainsRune(value, 0) {
		return fmt.Errorf("%s %q: has a NUL character, which no path or argument can carry; write it without", s.Noun, spell.Shorten(value))
	}
	if len(s.OneOf) > 0 && !slices.Contains(s.OneOf, value) {
		return fmt.Errorf("%s %q: unknown; write %s", s.Noun, spell.Shorten(value), strings.Join(s.OneOf, " or "))
	}
	if s.Valid == nil {
		return nil
	}
	return s.Valid(value)
}
