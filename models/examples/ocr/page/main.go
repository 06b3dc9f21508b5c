// Command page draws lines of text in Go's own font, black on white, and writes the page as PNG to standard output.
// It made the images that the golden cases of this model read.
//
//	go run ./models/examples/ocr/page 'first line' 'second line' > page.png
package main

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Sizes in pixels: a scan at 200 dots per inch of text of about 12 points.
const (
	textSize   = 34
	lineHeight = 60
	margin     = 40
)

func main() {
	page, err := drawPage(os.Args[1:])
	if err == nil {
		err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(os.Stdout, page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// drawPage returns a page as wide as its widest line. Without lines it is empty paper.
func drawPage(lines []string) (*image.Gray, error) {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("parse font: %w", err)
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: textSize, DPI: 72, Hinting: font.HintingNone})
	if err != nil {
		return nil, fmt.Errorf("size font: %w", err)
	}
	defer face.Close()
	width := 400
	for _, line := range lines {
		width = max(width, font.MeasureString(face, line).Ceil())
	}
	page := image.NewGray(image.Rect(0, 0, width+2*margin, max(len(lines), 1)*lineHeight+2*margin))
	draw.Draw(page, page.Bounds(), image.White, image.Point{}, draw.Src)
	pen := font.Drawer{Dst: page, Src: image.Black, Face: face}
	for i, line := range lines {
		pen.Dot = fixed.P(margin, margin+(i+1)*lineHeight-(lineHeight-textSize)/2)
		pen.DrawString(line)
	}
	return page, nil
}
