package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// rate is the sample rate that the model knows, in samples a second.
const rate = 16000

// unknownLength is the least size of a data chunk that stands for "until the end": writers into a pipe, which cannot
// come back to fill it in, leave values from there to the largest.
const unknownLength = 0x7ffff000

// convert tells how to make what this program reads.
const convert = "sox IN -r 16000 -c 1 -b 16 OUT.wav makes it so"

// openWAV reads the head of a WAV file, up to its samples, and returns those: little-endian int16, until io.EOF. Audio
// that ends before the size in its head says so gives io.ErrUnexpectedEOF.
func openWAV(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	var riff struct {
		RIFF [4]byte
		Size uint32
		WAVE [4]byte
	}
	err := binary.Read(in, binary.LittleEndian, &riff)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, err
	}
	if err != nil || string(riff.RIFF[:]) != "RIFF" || string(riff.WAVE[:]) != "WAVE" {
		return nil, errors.New("not a WAV file: it does not begin with RIFF and WAVE; " + convert)
	}
	formatSeen := false
	for {
		var chunk struct {
			Name [4]byte
			Size uint32
		}
		if err := binary.Read(in, binary.LittleEndian, &chunk); err != nil {
			return nil, fmt.Errorf("no audio in the file: %w", unexpected(err))
		}
		switch name := string(chunk.Name[:]); {
		case name == "fmt ":
			if err := readFormat(in, chunk.Size); err != nil {
				return nil, err
			}
			formatSeen = true
		case name == "data" && !formatSeen:
			return nil, errors.New("the audio comes before its format")
		case name == "data" && chunk.Size >= unknownLength:
			return in, nil
		case name == "data":
			return &exactReader{in, int64(chunk.Size)}, nil
		default:
			if err := skip(in, chunk.Size); err != nil {
				return nil, fmt.Errorf("chunk %q: %w", name, err)
			}
		}
	}
}

// readFormat reads the fmt chunk and refuses audio that is not 16 kHz, mono, 16 bits.
func readFormat(in io.Reader, size uint32) error {
	var format struct {
		Tag, Channels uint16
		Rate, Bytes   uint32
		Align, Bits   uint16
	}
	have := uint32(binary.Size(format))
	if size < have {
		return fmt.Errorf("format of %d bytes: want at least %d", size, have)
	}
	if err := binary.Read(in, binary.LittleEndian, &format); err != nil {
		return fmt.Errorf("format: %w", unexpected(err))
	}
	const pcm, extensible = 1, 0xfffe
	if format.Tag != pcm && format.Tag != extensible || format.Channels != 1 || format.Rate != rate || format.Bits != 16 {
		return fmt.Errorf("audio of %d Hz, %d channels, %d bits, encoding %d: want %d Hz, 1, 16, %d; %s",
			format.Rate, format.Channels, format.Bits, format.Tag, rate, pcm, convert)
	}
	return skip(in, size-have)
}

// skip passes over a chunk's bytes, and the one that pads an odd size.
func skip(in io.Reader, size uint32) error {
	count := int64(size) + int64(size%2)
	if _, err := io.CopyN(io.Discard, in, count); err != nil {
		return unexpected(err)
	}
	return nil
}

// An exactReader reads the promised number of bytes; fewer are an error.
type exactReader struct {
	r    io.Reader
	left int64
}

func (e *exactReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = fmt.Errorf("audio is cut off, %d bytes before its end: %w", e.left, io.ErrUnexpectedEOF)
	}
	return n, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
