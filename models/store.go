package models

import "time"

// A Digest names content by its SHA-256, as "sha256:" and 64 hexadecimal digits.
type Digest string

// A Blob is a piece of content in a store.
type Blob struct {
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
}

// A Model is an installed model: its manifest and the digests of what the manifest names.
type Model struct {
	Manifest  Manifest        `json:"manifest"`
	Digest    Digest          `json:"digest"` // over the manifest, the layers and the files
	Layers    []Digest        `json:"layers"` // trees, lowest first
	Root      Digest          `json:"root"`   // the tree that merges the layers and the files
	Files     map[string]Blob `json:"files,omitempty"`
	Golden    map[string]Blob `json:"golden,omitempty"` // by InputFile
	Source    string          `json:"source"`           // where it was installed from
	Installed time.Time       `json:"installed"`
}
