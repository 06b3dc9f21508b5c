package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mmbox/models"
)

// ListingSchema is the value of a listing's schema key: the format of tree.json.
const ListingSchema = "mmbox.tree/v1"

// Kind is what an entry of a tree is.
type Kind string

// The kinds of entries that a tree holds. A hard link is a File of its own in the listing.
const (
	Dir  Kind = "dir"
	File Kind = "file"
	Link Kind = "link" // symbolic
)

// An Entry is one path of a tree. The root directory itself is not listed.
type Entry struct {
	Path   string        `json:"path"` // absolute and clean
	Kind   Kind          `json:"kind"`
	Mode   string        `json:"mode,omitempty"` // "0444" or "0555"; none for a link
	Size   int64         `json:"size,omitempty"` // bytes
	SHA256 models.Digest `json:"sha256,omitempty"`
	Target string        `json:"target,omitempty"` // of a link, verbatim

	owner int // 1 + index of the package it came from; 0: none
}

// A Package is a Debian package that gave a tree at least one file or link.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the .deb, in hexadecimal
}

// A Listing says what is in a tree: the content of its tree.json, whose SHA-256 is the tree's digest.
type Listing struct {
	Schema   string    `json:"schema"`
	Packages []Package `json:"packages,omitempty"` // by name
	Entries  []Entry   `json:"entries"`            // by path
}

// newListing sorts what a stage holds, and the packages in place.
func newListing(entries map[string]*Entry, packages []Package) Listing {
	l := Listing{Schema: ListingSchema, Packages: packages, Entries: make([]Entry, 0, len(entries))}
	for _, e := range entries {
		l.Entries = append(l.Entries, *e)
	}
	slices.SortFunc(l.Entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(l.Packages, func(a, b Package) int {
		return strings.Compare(a.Name+" "+a.Version, b.Name+" "+b.Version)
	})
	return l
}

// marshal gives the canonical text, one entry a line, and the digest over it.
func (l Listing) marshal() ([]byte, models.Digest, error) {
	var b bytes.Buffer
	head, err := json.Marshal(struct {
		Schema   string    `json:"schema"`
		Packages []Package `json:"packages,omitempty"`
	}{l.Schema, l.Packages})
	if err != nil {
		return nil, "", err
	}
	b.Write(head[:len(head)-1])
	b.WriteString(`,"entries":[`)
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range l.Entries {
		if i > 0 {
			b.Truncate(b.Len() - 1)
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		if err := enc.Encode(&l.Entries[i]); err != nil {
			return nil, "", err
		}
	}
	b.WriteString("]}\n")
	return b.Bytes(), sumDigest(sha256.Sum256(b.Bytes())), nil
}

// parseListing reads a tree.json and checks that it is the one that d names.
func parseListing(data []byte, d models.Digest) (Listing, error) {
	if got := sumDigest(sha256.Sum256(data)); got != d {
		return Listing{}, fmt.Errorf("the listing's digest is %s, not %s", got, d)
	}
	var l Listing
	if err := json.Unmarshal(data, &l); err != nil {
		return Listing{}, err
	}
	if l.Schema != ListingSchema {
		return Listing{}, fmt.Errorf("schema %q: this version reads %q", l.Schema, ListingSchema)
	}
	return l, nil
}

func sumDigest(sum [sha256.Size]byte) models.Digest {
	text := make([]byte, 0, len("sha256:")+2*sha256.Size)
	return models.Digest(hex.AppendEncode(append(text, "sha256:"...), sum[:]))
}

// hexOf gives a digest's hexadecimal digits, and an error for one that could not name a directory.
func hexOf(d models.Digest) (string, error) {
	h, ok := strings.CutPrefix(string(d), "sha256:")
	if _, err := hex.DecodeString(h); !ok || err != nil || len(h) != 2*sha256.Size || h != strings.ToLower(h) {
		return "", fmt.Errorf("digest %q: want sha256: and 64 hexadecimal digits", d)
	}
	return h, nil
}
