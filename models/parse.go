package models

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v4"
)

// ManifestName is the name of a manifest's file.
const ManifestName = "model.yaml"

// maxManifest bounds what Parse reads. A manifest names weights, it does not hold them.
const maxManifest = 1 << 20

// Load parses the manifest in a file. What is wrong with the content is a *ManifestError.
func Load(path string) (*Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open manifest: %w", err)
	}
	defer f.Close() // only read
	return parse(path, f)
}

// Parse reads one manifest, checks it in full and sets the limits it leaves out. What is wrong with it, all of it, is a
// *ManifestError whose problems name the file as model.yaml.
func Parse(r io.Reader) (*Manifest, error) { return parse(ManifestName, r) }

func parse(file string, r io.Reader) (*Manifest, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	d := &decoder{file: file}
	if len(data) > maxManifest {
		d.problem(nil, "larger than %d bytes; keep weights in files of their own and name them under files", maxManifest)
		return nil, d.err()
	}
	root := d.document(data)
	if root == nil {
		return nil, d.err()
	}
	value := d.value(root, manifestShape, "")
	if err := d.err(); err != nil {
		return nil, err
	}
	return toManifest(value)
}

// toManifest turns a checked value into the type. The keys of the two are the same, so JSON is the way between them.
func toManifest(value any) (*Manifest, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("convert manifest: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	m := new(Manifest)
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("convert manifest: %w", err)
	}
	return m, nil
}

// document gives the one value of a YAML text, or nil with a problem noted.
func (d *decoder) document(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		d.problem(nil, "empty; write a manifest that starts with schema: %s", Schema)
		return nil
	case err != nil:
		d.syntax(err)
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		d.problem(&second, "a second document; write one manifest to a file")
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

// refuseClever notes what YAML offers and a manifest does without, since it lets a text mean what it does not show:
// anchors, aliases, merge keys and tags.
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
