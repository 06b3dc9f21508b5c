package models

import (
	"mmbox/models/internal/spell"

	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"strings"
)

const digestPrefix = "sha256:"

// Validate refuses what is not "sha256:" and 64 lower-case hexadecimal digits. What passes is safe as part of a path.
func (d Digest) Validate() error {
	if !strings.HasPrefix(string(d), digestPrefix) || !sha256Pattern.MatchString(string(d[len(digestPrefix):])) {
		return fmt.Errorf("digest %q: not sha256: and 64 hexadecimal digits", spell.Shorten(string(d)))
	}
	return nil
}

// Hex gives the digits of a valid digest.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// DigestOf gives the digest of a content.
func DigestOf(content []byte) Digest {
	h := sha256.New()
	h.Write(content) // a hash never fails
	return sumDigest(h)
}

// DigestFromHex makes a digest of a manifest's sha256 key, "" of none.
func DigestFromHex(sha256 string) Digest {
	if sha256 == "" {
		return ""
	}
	return Digest(digestPrefix + sha256)
}

func sumDigest(h hash.Hash) Digest { return Digest(digestPrefix + hex.EncodeToString(h.Sum(nil))) }

// ModelDigest identifies a model by all that makes it: its manifest, its layers, lowest first, its files by path in the
// root and the inputs of its golden cases by InputFile. It depends on nothing else: not on time, place or map order.
func ModelDigest(manifest Manifest, layers []Digest, files, golden map[string]Blob) (Digest, error) {
	content, err := json.Marshal(struct { // its keys in this order, those of maps sorted: canonical
		Manifest Manifest        `json:"manifest"`
		Layers   []Digest        `json:"layers"`
		Files    map[string]Blob `json:"files,omitempty"`
		Golden   map[string]Blob `json:"golden,omitempty"`
	}{manifest, layers, files, golden})
	if err != nil {
		return "", fmt.Errorf("digest model %q: %w", manifest.Name, err)
	}
	return DigestOf(content), nil
}
