// Command digits says which digit an 8×8 image shows.
//
//	digits infer WEIGHTS   answers every image on standard input and exits
//	digits serve WEIGHTS   answers each image as it comes, until standard input ends
//
// An image is a line of 64 whole numbers from 0 (black) to 16 (white), row by row. An answer is a line: the digit and
// the probability the network gives it. A line that is no image ends infer with exit code 1; serve answers it with a
// line that starts with "error: " and goes on.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxLine bounds a line, in bytes: an image takes 192 at most when one space stands between its numbers.
const maxLine = 4096

func main() {
	if len(os.Args) != 3 || (os.Args[1] != "infer" && os.Args[1] != "serve") {
		fmt.Fprintln(os.Stderr, "usage: digits infer|serve WEIGHTS")
		os.Exit(2)
	}
	if err := run(os.Args[1] == "serve", os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "digits:", err)
		os.Exit(1)
	}
}

func run(serve bool, weights string) error {
	file, err := os.Open(weights)
	if err != nil {
		return err
	}
	defer file.Close()
	n, err := parseNetwork(bufio.NewReader(file))
	if err != nil {
		return fmt.Errorf("weights %q: %w", weights, err)
	}
	return answer(n, os.Stdin, os.Stdout, serve)
}

// answer writes a line to w for each line of r. When serving, each is written at once, and a line that is no image is
// answered with an error; otherwise such a line ends the work, after the answers before it were written.
func answer(n *network, r io.Reader, w io.Writer, serve bool) (err error) {
	in := bufio.NewReaderSize(r, maxLine)
	out := bufio.NewWriter(w)
	defer func() { err = errors.Join(err, out.Flush()) }()
	for number := 1; ; number++ {
		line, err := readLine(in)
		if err == io.EOF {
			return nil
		}
		var image [pixels]uint8
		if err == nil {
			image, err = parseImage(line)
		}
		switch {
		case err == nil:
			digit, probability := n.classify(&image)
			fmt.Fprintf(out, "%d %.3f\n", digit, probability)
		case serve && !errors.Is(err, errRead):
			fmt.Fprintf(out, "error: %v\n", err)
		default:
			return fmt.Errorf("line %d: %w", number, err)
		}
		if serve {
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

// errRead marks a failure of the input itself, after which no line can follow.
var errRead = errors.New("read input")

// readLine returns the next line without its end, valid until the next call; the last may lack a newline. A line
// longer than the buffer is read to its end and refused. At the end of the input the error is io.EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		if err == nil || err == io.EOF {
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		}
	}
	switch {
	case err == nil:
		return line[:len(line)-1], nil
	case err == io.EOF && len(line) > 0:
		return line, nil
	case err == io.EOF:
		return nil, io.EOF
	}
	return nil, fmt.Errorf("%w: %w", errRead, err)
}
