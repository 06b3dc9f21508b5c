package models

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"mmbox/models/strict"
)

// ManifestName is the name of a manifest's file.
const ManifestName = "model.yaml"

// maxManifest bounds what Parse reads, in bytes. A manifest names weights, it does not hold them.
const maxManifest = 1 << 20

// A ManifestError is everything wrong in a manifest, by position. It holds at least one problem.
type ManifestError = strict.Error

// A Problem is one thing wrong in a manifest, with its file, line and column.
type Problem = strict.Problem

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
	if len(data) > maxManifest {
		const message = "larger than 1 MiB; keep weights in files of their own and name them under files"
		return nil, &ManifestError{Problems: []Problem{{File: file, Message: message}}}
	}
	value, err := strict.Decode(file, data, manifestShape)
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	text, err := json.Marshal(value) // the shape's keys are the type's, so JSON is the way between them
	if err == nil {
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.DisallowUnknownFields()
		err = dec.Decode(m)
	}
	if err != nil {
		return nil, fmt.Errorf("convert manifest: %w", err)
	}
	return m, nil
}

// JSONSchema gives the format of a manifest as a JSON Schema, draft 2020-12. Parse checks more.
func JSONSchema() []byte {
	text, err := strict.JSONSchema("urn:mmbox:manifest:v1", "mmbox manifest", manifestShape)
	if err != nil {
		panic("models: " + err.Error()) // the table holds nothing that JSON cannot
	}
	return text
}
