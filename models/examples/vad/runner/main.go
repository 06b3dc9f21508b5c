// Command vad says where in a recording somebody speaks.
//
//	vad LIBRARY MODEL < recording.wav
//
// LIBRARY is ONNX Runtime's shared library, MODEL the Silero VAD network (version 5 or 6). The recording is a WAV file of
// 16 kHz, mono, 16 bits. Each stretch of speech is a line of output: where it starts and where it ends, in seconds. No
// speech is no line.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: vad LIBRARY MODEL < recording.wav")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "vad:", err)
		os.Exit(1)
	}
}

func run(library, model string, r io.Reader, w io.Writer) (err error) {
	samples, err := openWAV(r)
	if err != nil {
		return fmt.Errorf("read recording: %w", err)
	}
	d, err := openDetector(library, model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	var probabilities []float32
	err = eachFrame(samples, func(frame *[frameSize]int16) error {
		p, err := d.speech(frame)
		probabilities = append(probabilities, p)
		return err
	})
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	for _, s := range findSegments(probabilities) {
		fmt.Fprintf(out, "%.3f %.3f\n", seconds(s.start), seconds(s.end))
	}
	return out.Flush()
}

func seconds(frames int) float64 { return float64(frames) * frameSize / rate }

// eachFrame calls do for each frame of the samples in r, little-endian int16. The last is filled up with silence.
func eachFrame(r io.Reader, do func(*[frameSize]int16) error) error {
	var raw [2 * frameSize]byte
	for {
		n, err := io.ReadFull(r, raw[:])
		if n == 0 && err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("read recording: %w", err)
		}
		clear(raw[n:])
		var frame [frameSize]int16
		for i := range frame {
			frame[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		if err := do(&frame); err != nil {
			return err
		}
	}
}
