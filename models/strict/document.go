package strict

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v4"
)

// document gives the one value of a YAML text, or nil with a problem noted.
func (d *decoder) document(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.problem(nil, "empty; write a mapping of keys to values")
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		d.problem(&second, "a second document; write one to a file")
		return nil
	case !errors.Is(err, io.EOF):
		d.syntax(err)
		return nil
	}
	root := doc.Content[0]
	d.refuseClever(root)
	return root
}

// syntax notes what the YAML parser refused.
func (d *decoder) syntax(err error) {
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		d.problem(nil, "not YAML: %v", err)
		return
	}
	at := &yaml.Node{Line: load.Mark.Line, Column: load.Mark.Column}
	d.problem(at, "not YAML: %s", load.Message)
}

// refuseClever notes anchors, aliases, merge keys and tags.
func (d *decoder) refuseClever(n *yaml.Node) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.problem(n, "*%s is an alias; write the value out", n.Value)
	case n.Anchor != "":
		d.problem(n, "&%s is an anchor; write the value out where it is needed", n.Anchor)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		d.problem(n, "<< is a merge key; write its keys out")
	case n.Style&yaml.TaggedStyle != 0:
		d.problem(n, "%s is a tag; write the value without it", n.Tag)
	}
	for _, child := range n.Content {
		d.refuseClever(child)
	}
}
