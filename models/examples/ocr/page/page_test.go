package main

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"os"
	"testing"
)

// The committed images are what this program draws. Pixels are compared, since encoders may change.
func TestCommittedPages(t *testing.T) {
	for name, lines := range map[string][]string{
		"invoice.png": {"Invoice 2047 total 318.50 EUR", "The quick brown fox jumps over the lazy dog"},
		"notice.png":  {"Meeting moved to Thursday at 14:30", "Room 12, second floor", "Please bring two copies"},
		"empty.png":   {},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.Open("../" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			committed, err := png.Decode(file)
			if err != nil {
				t.Fatal(err)
			}
			got := image.NewGray(committed.Bounds())
			draw.Draw(got, got.Bounds(), committed, committed.Bounds().Min, draw.Src)
			want, err := drawPage(lines)
			if err != nil {
				t.Fatal(err)
			}
			if got.Rect != want.Rect || !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("differs from what is drawn for %q: draw it again", lines)
			}
		})
	}
}
